"""The key and the signer of a client sign its other requests, too."""

from __future__ import annotations

from bybit_sync.rest.signing import RestSigner
from bybit_sync.signing.credentials import Credentials, hmac_signer
from tests.conftest import KEY, SECRET


def test_credentials_are_lent_to_another_signer() -> None:
    """It signs with the same key and the same secret."""
    lent = Credentials(KEY, hmac_signer(SECRET)).lend(RestSigner)
    assert lent.headers(1, 5000, "a=1") == RestSigner(KEY, hmac_signer(SECRET)).headers(1, 5000, "a=1")
    assert lent.digest == RestSigner(KEY, hmac_signer("another")).digest

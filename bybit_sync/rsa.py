"""Signing with an RSA key, for API keys that were made from a public key; needs the extra ``rsa``.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from bybit_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["rsa_signer"]


def rsa_signer(pem: str | bytes, password: str | bytes | None = None) -> Callable[[str], str]:
    """Return a ``signer`` for `Client` that signs with the private key *pem* (PKCS#1 v1.5 with SHA-256, as base64).

    *password* opens an encrypted key. Neither can be read from the signer. The client calls it on a throw-away thread.

    Example:
        >>> from cryptography.hazmat.primitives import serialization
        >>> from cryptography.hazmat.primitives.asymmetric import rsa
        >>> key = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # or Path("key.pem").read_bytes()
        >>> pem = key.private_bytes(
        ...     serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ... )
        >>> Client("KEY", signer=rsa_signer(pem), name="main")
        <Client main: mainnet v5, IDLE, no stream>

    Raises:
        ConfigurationError: *pem* is no RSA private key, *password* does not open it, or the extra ``rsa`` is missing.

    """
    key = _load(pem, password)
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - an extra, imported when it is asked for
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    def sign(text: str) -> str:
        return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()

    return sign


def _load(pem: str | bytes, password: str | bytes | None) -> RSAPrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError("rsa_signer needs the package cryptography: pip install 'bybit-sync[rsa]'") from None
    try:
        key = load_pem_private_key(_bytes(pem), None if password is None else _bytes(password))
    except (ValueError, TypeError):
        key = None
    # Outside of the except clause: what was caught has the key in its frames.
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError("pem is no RSA private key in PEM form, or password= does not open it (None: not encrypted)")
    return key


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)

"""RSA signatures, for API keys made from a public key; needs the extra ``rsa``.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from bybit_sync.errors import ConfigurationError
from bybit_sync.extras import install

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["rsa_signer"]


def rsa_signer(pem: str | bytes, password: str | bytes | None = None) -> Callable[[str], str]:
    """Return a ``signer`` for `Client` that signs with the private key *pem*.

    It uses PKCS#1 v1.5 with SHA-256, and base64.

    *pem* may be in OpenSSH's form, and have its line breaks spelled out as in a .env
    file. *password* opens an encrypted key. Neither can be read from the signer. The
    client calls it on a throw-away thread.

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
        ConfigurationError: *pem* is no RSA private key, *password* does not open it, or
            the extra ``rsa`` is missing.

    """
    key = _load(pem, password)
    if isinstance(key, ConfigurationError):
        raise key
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - an extra: imported only when it is used
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    def sign(text: str) -> str:
        return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()

    return sign


def _load(pem: str | bytes, password: str | bytes | None) -> RSAPrivateKey | ConfigurationError:
    # The error is returned, not raised: the traceback of a raised one would hold the
    # key in its frames.
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_private_key,
            load_ssh_private_key,
        )
    except ImportError:
        return ConfigurationError(f"rsa_signer needs the package cryptography: {install('cryptography')}")
    data = _plain(pem)
    load = load_ssh_private_key if b"BEGIN OPENSSH" in data else load_pem_private_key
    key: object = None
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load(data, None if password is None else _bytes(password))
    return key if isinstance(key, RSAPrivateKey) else ConfigurationError(f"pem is {_kind(data)}")


def _plain(pem: str | bytes) -> bytes:
    """Return *pem* with real line breaks, and without surrounding quotes."""
    return _bytes(pem).strip(b" \t\r\n'\"").replace(b"\\r", b"").replace(b"\\n", b"\n")


def _kind(data: bytes) -> str:
    """Return a text about *data*, which is not an RSA private key.

    It has the kind and the remedy, and no part of the data.
    """
    if b"-----BEGIN" not in data:
        return "no key in PEM form; if it is a file's name, give what stands in the file: Path(name).read_bytes()"
    if b"PRIVATE KEY-----" not in data:
        return "no private key but a public one, or a certificate: give the private key that belongs to it"
    return "no RSA private key that can be read, or password= does not open it (None: not encrypted)"


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)

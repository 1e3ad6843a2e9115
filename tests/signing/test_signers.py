"""Signers: RSA, and whatever else a user brings, in time or not."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bybit_sync import AuthenticationError, Client, ConfigurationError, ConnectionFailed, rsa_signer
from bybit_sync.signing.credentials import hmac_signer
from bybit_sync.simulator import Account
from tests.conftest import KEY, SECRET, threads_of
from tests.faults.pace import until

PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    """Return *key* as PEM, encrypted if there is a password."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize("password", [None, b"pass word"])
def test_an_rsa_signature_is_verified_by_the_public_key(password: bytes | None) -> None:
    """What it signs, the public key confirms, and nothing else."""
    signature = base64.b64decode(rsa_signer(pem_of(PRIVATE, password), password)("GET/realtime1662350400000"))
    public = PRIVATE.public_key()
    public.verify(signature, b"GET/realtime1662350400000", padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"GET/realtime1662350400001", padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(
    ("pem", "password"),
    [
        (pem_of(PRIVATE, b"right"), "wrong"),
        (pem_of(PRIVATE, b"right"), None),
        (pem_of(PRIVATE), "needless"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), None),
    ],
)
def test_what_is_no_rsa_key_is_refused_at_once(pem: str | bytes, password: str | None) -> None:
    """The error names the argument, and shows nothing of it."""
    with pytest.raises(ConfigurationError, match="RSA private key") as caught:
        rsa_signer(pem, password)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def openssh() -> str:
    """Return the key as `ssh-keygen` writes it."""
    return PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def public() -> str:
    """Return its public half."""
    return PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


TEXT = pem_of(PRIVATE).decode()
SPELLINGS = {
    "as it is": TEXT,
    "Windows": TEXT.replace("\n", "\r\n"),
    "on one line": TEXT.replace("\n", " "),
    "breaks spelled out": TEXT.replace("\n", "\\n"),
    "Windows, spelled out": TEXT.replace("\n", "\\r\\n"),
    "in quotes": "'" + TEXT.replace("\n", "\\n") + "'",
    "OpenSSH": openssh(),
    "OpenSSH spelled out": openssh().replace("\n", "\\n"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_that_can_be_read_without_doubt_is(spelling: str) -> None:
    """Whatever a .env file, JSON or ssh-keygen made of it: the signature is the same."""
    assert rsa_signer(SPELLINGS[spelling])("text") == rsa_signer(TEXT)("text")


MISTAKES = [
    (public(), "public"),
    ("/home/me/private.pem", "a file's name"),
    ("", "no key in PEM form"),
    (TEXT[:200], "no RSA private key"),
    (TEXT.replace("PRIVATE", "UNKNOWN PRIVATE"), "no RSA private key"),
]


@pytest.mark.parametrize(("pem", "said"), MISTAKES)
def test_what_was_given_instead_of_a_key_is_named(pem: str, said: str) -> None:
    """With a remedy, and without a character of it, also in the frames below the call."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        rsa_signer(pem)
    assert caught.traceback[-1].name == "rsa_signer"
    assert "MII" not in str(caught.value)
    assert "/home" not in str(caught.value)


def test_a_signer_of_the_users_logs_in(account: Account, make_client: Callable[..., Client]) -> None:
    """It gets the text to sign, on a thread of its own, and its answer is the signature."""
    threads: list[str] = []

    def signer(text: str) -> str:
        threads.append(threading.current_thread().name)
        return hmac_signer(SECRET)(text)

    client = make_client(KEY, None, signer=signer)
    client.subscribe_orders()
    assert threads == [f"{client.name}-signer"]


def test_a_signer_for_which_no_thread_can_be_started_is_asked_again(
    account: Account, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the system's limit of threads the attempt fails, as it does for names, and the next one is begun (row 206)."""
    start, refused = threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if thread.name.endswith("-signer") and len(refused) < 3:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    client = make_client(KEY, None, signer=hmac_signer(SECRET))
    assert client.subscribe_orders().state == "LIVE"
    assert len(refused) == 3
    last_error = client.health().last_error
    assert isinstance(last_error, ConnectionFailed)
    assert "the login could not be signed: can't start new thread" in str(last_error)


def test_a_signer_that_raises_is_told_to_the_caller(account: Account, make_client: Callable[..., Client]) -> None:
    """Its error becomes part of ours, at once."""

    def signer(text: str) -> str:
        raise OSError("the key store is locked")

    client = make_client(KEY, None, signer=signer)
    with pytest.raises(AuthenticationError, match="the key store is locked"):
        client.subscribe_orders()
    until(lambda: not threads_of(client))


def test_a_signer_that_returns_no_text_is_told_to_the_caller(account: Account, make_client: Callable[..., Client]) -> None:
    """Bytes are no signature."""
    with pytest.raises(AuthenticationError, match="bytes"):
        make_client(KEY, None, signer=lambda text: text.encode()).subscribe_orders()


def test_a_signer_that_hangs_ends_at_the_request_timeout(account: Account, make_client: Callable[..., Client]) -> None:
    """The login waits for it no longer than for the exchange, and a later one does not pile up behind it."""
    go = threading.Event()
    client = make_client(KEY, None, signer=lambda text: str(go.wait(10)), request_timeout=0.2)
    for said in ("did not answer in time", "still has not answered"):
        with pytest.raises(AuthenticationError, match=said):
            client.subscribe_orders()
    helper = next(thread for thread in threading.enumerate() if thread.name == f"{client.name}-signer")
    go.set()
    helper.join(5)

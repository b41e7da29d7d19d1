"""Ed25519 signatures of bundles (RFC 8032), so that whoever can check a bundle still cannot make one."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import data
from course_lib.errors import BundleError

__all__ = ["PUBLIC_KEY_VARIABLE", "SigningKey", "key_id", "machine_key", "new_key", "trusted_key", "verify"]

PUBLIC_KEY_VARIABLE = "COURSE_BUNDLE_KEY"  # a serving image gets the public key here; it never holds the private one


@dataclass(frozen=True)
class SigningKey:
    """A private key and its public half.

    Attributes
    ----------
    private
        The 32 secret bytes; left out of the representation, so that no log shows them.
    public
        The public key, 64 hexadecimal digits.
    """

    private: bytes = field(repr=False)
    public: str

    def sign(self, message: bytes) -> str:
        """Return the signature of ``message``, 128 hexadecimal digits."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.private).sign(message).hex()


def new_key() -> SigningKey:
    """Return a fresh random key."""
    return _from_private(os.urandom(32))


def machine_key() -> SigningKey:
    """Return the key of this machine, made at the first call and kept in the course's cache, readable by you alone.

    Raises
    ------
    BundleError
        The key file is damaged, or the cache folder cannot be written.
    """
    path = _key_file()
    try:
        if not path.exists():
            _write_once(path, os.urandom(32).hex())
        return _from_private(bytes.fromhex(path.read_text().strip()))
    except (OSError, ValueError) as error:
        raise BundleError(
            f"The signing key {path} cannot be used: {error}",
            expected="a file of 64 hexadecimal digits in a folder this user can write to",
            next_step="delete the file to get a new key, or pass one: build_bundle(…, key=packaging.new_key())",
        ) from error


def trusted_key(public_key: str | None = None) -> str:
    """Return the public key that a bundle must be signed with.

    It is ``public_key``, else the value of ``$COURSE_BUNDLE_KEY``, else the key of this machine. A key that travels
    inside the bundle would prove nothing: whoever changes the files could change it as well.

    Raises
    ------
    BundleError
        There is no key, or it is not 64 hexadecimal digits.
    """
    if public_key is None:
        public_key = os.environ.get(PUBLIC_KEY_VARIABLE)
    if public_key is None and (os.environ.get("COURSE_CACHE") or _has_platformdirs()) and _key_file().exists():
        public_key = machine_key().public
    if public_key is None:
        raise BundleError(
            "There is no public key to check the bundle's signature with.",
            expected=f"the key of whoever built the bundle, in the environment variable {PUBLIC_KEY_VARIABLE}",
            next_step=f"start with {PUBLIC_KEY_VARIABLE}=… (the value of `packaging.machine_key().public`)",
        )
    if len(public_key) != 64 or any(digit not in "0123456789abcdef" for digit in public_key.lower()):
        raise BundleError(
            f"{public_key[:12]!r}… is not a public key.",
            expected="64 hexadecimal digits",
            next_step="pass the value of `packaging.machine_key().public`",
        )
    return public_key.lower()


def verify(public_key: str, message: bytes, signature: str) -> bool:
    """Return whether ``signature`` was made over ``message`` with the private half of ``public_key``."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        signed = bytes.fromhex(signature)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signed, message)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return signature == signed.hex()  # the same digits in capitals are a changed byte too


def key_id(public_key: str) -> str:
    """Return a short name for a public key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def _from_private(private: bytes) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return SigningKey(private, public.hex())


def _key_file() -> Path:
    return data.cache_dir() / "keys" / "bundle-ed25519"


def _has_platformdirs() -> bool:
    """Return whether the cache folder can be found; a slim image may lack the package that knows where it is."""
    from importlib.util import find_spec

    return find_spec("platformdirs") is not None


def _write_once(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` for this user only; if another process was first, its file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        partial.unlink(missing_ok=True)

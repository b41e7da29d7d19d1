"""Interfaces of the remote calls: what the parts of this package may ask of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["Decoder", "Encoder", "Lifespan", "Peer"]


class Encoder(Protocol):
    """Turns values into a tree of JSON and binary parts; implemented in `codec`."""

    def blob(self, data: bytes) -> int:
        """Keep a binary part and return its number."""

    def encode(self, value: object, depth: int = 0) -> Any:
        """Return ``value`` as a tree."""


class Decoder(Protocol):
    """Builds values from a tree that may come from a hostile sender; implemented in `codec`."""

    def blob(self, number: object) -> bytes:
        """Return a binary part."""

    def decode(self, tree: Any, depth: int = 0) -> Any:
        """Return the value of ``tree``."""


class Lifespan(Protocol):
    """Start-up and shut-down of one web application; implemented in `asgi`."""

    state: dict[str, Any]

    async def phase(self, name: str) -> str:
        """Run "startup" or "shutdown"; return what went wrong, empty if nothing did."""


class Peer(Protocol):
    """One end of the connection between two processes; implemented in `peer`."""

    apps: dict[int, Lifespan]
    strict: bool

    def ask(self, op: str, number: int, args: Sequence[object], keywords: dict[str, Any], *, name: str = "") -> Any:
        """Do ``op`` to object ``number`` of the other process; return or raise what came of it."""

    async def ask_async(self, op: str, number: int, args: Sequence[object], keywords: dict[str, Any]) -> Any:
        """Do the same without holding up the event loop."""

    def decode_plain(self, tree: Any) -> Any:
        """Return the value of a tree that holds plain data only."""

    def lend(self, value: object) -> list[Any]:
        """Return the tree by which the other process refers to ``value``, which stays here."""

    def target(self, number: object) -> Any:
        """Return the object that was lent under ``number``."""

    def borrow(self, info: Any) -> Any:
        """Return what stands for the object of the other process that ``info`` describes."""

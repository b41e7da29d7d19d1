"""RPC peer, one on each side between judge and learner's process: sends values, lends objects, answers calls.

Both sides run this code with different rules. The judge (``strict``) accepts data only, lends little and lets nothing
be done to what it lent but calling it and reading public attributes. The learner's side serves everything it has, and
may be sent pickles *by the judge*, so that estimators and other library objects arrive there as themselves.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Sequence
from typing import Any

from autograder.sandbox.messages import Malformed
from autograder.sandbox.rpc import dispatch, references
from autograder.sandbox.rpc.channel import Channel
from autograder.sandbox.rpc.codec import Decoder, Encoder, NotData
from autograder.sandbox.rpc.exceptions import decode_fault, encode_fault
from autograder.sandbox.rpc.framing import Wire
from autograder.sandbox.rpc.interface import Lifespan
from autograder.sandbox.rpc.proxies import handle_id, make_handle

__all__ = ["Peer"]

_MAX_LENT = 200_000


class Peer:
    """An end that can ask and be asked.

    Parameters
    ----------
    wire
        The socket to the other end.
    strict
        Whether the other end is hostile: the judge's rules.
    """

    def __init__(self, wire: Wire, *, strict: bool) -> None:
        self.strict = strict
        self.channel = Channel(wire, self._handle)
        self.namespace: dict[str, Any] = {}
        self.apps: dict[int, Lifespan] = {}
        self._lent: dict[int, object] = {}
        self._numbers: dict[int, int] = {}  # id of a lent object -> its number; lent objects stay alive
        self._exceptions: dict[int, type[BaseException]] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    # asking ------------------------------------------------------------------------------------------------------
    def ask(self, op: str, number: int, args: Sequence[object], keywords: dict[str, Any], *, name: str = "") -> Any:
        """Do ``op`` to object ``number`` of the other process; return or raise what came of it."""
        return self._result(*self.channel.request(*self._question(op, number, args, keywords, name)))

    async def ask_async(self, op: str, number: int, args: Sequence[object], keywords: dict[str, Any]) -> Any:
        """Do the same without holding up the event loop."""
        return self._result(*await self.channel.request_async(*self._question(op, number, args, keywords, "")))

    def bind(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what the other side has under ``names``: values, handles, or nothing."""
        head, blobs = self.channel.request({"op": "bind", "names": list(names)})
        found = head.get("names")
        if not isinstance(found, dict):
            raise Malformed("the names are no object")
        decoder = Decoder(blobs, self._other_tree)
        return {name: decoder.value(found[name]) for name in names if name in found}

    def decode_plain(self, tree: Any) -> Any:
        """Return the value of a tree that holds plain data only."""
        return Decoder([], self._other_tree).value(tree)

    def _question(
        self, op: str, number: int, args: Sequence[object], keywords: dict[str, Any], name: str
    ) -> tuple[dict[str, Any], list[bytes]]:
        encoder = self._encoder()
        sent = encoder.encode([*args])
        if op == "exit":
            sent = ["l", None if args[0] is None else ["ex", encode_fault(args[0])]]  # type: ignore[arg-type]
        head = {"op": op, "on": number, "args": sent, "kw": encoder.encode(keywords)}
        if name:
            head["name"] = name
        return head, encoder.blobs

    def _result(self, head: dict[str, Any], blobs: list[bytes]) -> Any:
        if "err" in head:
            raise self._fault(head["err"])
        return Decoder(blobs, self._other_tree).value(head.get("ok"))

    def _fault(self, fault: object) -> BaseException:
        number = fault.get("class") if isinstance(fault, dict) else None
        return decode_fault(fault, cls=self._exceptions.get(number) if type(number) is int else None)

    # being asked -------------------------------------------------------------------------------------------------
    def _handle(self, head: dict[str, Any], blobs: list[bytes]) -> tuple[dict[str, Any], Sequence[bytes]]:
        try:
            if head.get("op") == "bind" and not self.strict:
                return self._bound(head["names"])
            target = self.target(head.get("on"))
            decoder = Decoder(blobs, self._other_tree)
            args, keywords = decoder.value(head.get("args")), decoder.value(head.get("kw"))
            op, name = str(head.get("op")), str(head.get("name", ""))
            if op in dispatch.ASYNCHRONOUS:
                self._answer_later(head["id"], dispatch.ASYNCHRONOUS[op](self, head["on"], target, args, keywords))
                return {}, ()
            if self.strict:
                dispatch.check_allowed(op, name)
            return self._reply(dispatch.SYNCHRONOUS[op](target, name, args, keywords))
        except BaseException as error:  # learner code may raise anything; the asker gets it
            return self._error(error)

    def _reply(self, value: object) -> tuple[dict[str, Any], Sequence[bytes]]:
        encoder = self._encoder()
        return {"ok": encoder.encode(value)}, encoder.blobs

    def _error(self, error: BaseException) -> tuple[dict[str, Any], Sequence[bytes]]:
        fault = encode_fault(error)
        if type(error).__module__ == "__main__" and not self.strict:
            fault["class"] = self._number_of(type(error))
        return {"err": fault}, ()

    def _answer_later(self, number: int, work: Any) -> None:
        async def run() -> None:
            try:
                reply, parts = self._reply(await work)
            except BaseException as error:
                reply, parts = self._error(error)
            self.channel.reply(number, reply, parts)

        asyncio.run_coroutine_threadsafe(run(), self._event_loop())

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="course-loop", daemon=True).start()
            return self._loop

    def _bound(self, names: list[str]) -> tuple[dict[str, Any], Sequence[bytes]]:
        encoder = self._encoder()
        found = {}
        for name in names:
            if name in self.namespace:
                try:
                    found[name] = encoder.encode(self.namespace[name])
                except Exception:
                    found[name] = self.lend(self.namespace[name])
        return {"names": found}, encoder.blobs

    # what is no plain data ---------------------------------------------------------------------------------------
    def _encoder(self) -> Encoder:
        return Encoder(self._other_value)

    def _other_value(self, value: object, encoder: Encoder) -> Any:
        """Return a tree for ``value``, which is no plain data."""
        number = handle_id(value)
        if number is not None:
            return ["yours", number]
        if isinstance(value, BaseException):
            return ["ex", encode_fault(value)]
        if not self.strict:
            return self.lend(value)
        if references.may_lend(value):
            return self.lend(value)
        data = references.dumps(value, self)
        if data is None:
            raise NotData(f"the check passes an object of class {type(value).__name__}, which can't be sent")
        return ["pk", encoder.blob(data)]

    def _other_tree(self, tree: list[Any], decoder: Decoder) -> Any:
        tag, *parts = tree
        if tag == "h" and len(parts) == 1:
            return self.borrow(parts[0])
        if tag == "yours" and len(parts) == 1:
            return self.target(parts[0])
        if tag == "ex" and len(parts) == 1:
            return self._fault(parts[0])
        if tag == "pk" and not self.strict:
            return references.loads(decoder.blob(parts[0]), self)
        raise Malformed(f"there is no tag {tag!r:.20}")

    def borrow(self, info: Any) -> Any:
        """Return what stands for the object of the other process that ``info`` describes."""
        if isinstance(info, dict) and info.get("kind") == "exception" and type(info.get("id")) is int:
            if info["id"] not in self._exceptions and len(self._exceptions) < 1000:
                self._exceptions[info["id"]] = references.exception_class(info)
            return self._exceptions[info["id"]]
        return make_handle(self, info)

    def target(self, number: object) -> Any:
        """Return the object that was lent under ``number``."""
        if type(number) is not int or number not in self._lent:
            raise Malformed("an object isn't there")
        return self._lent[number]

    def lend(self, value: object) -> list[Any]:
        """Return the tree by which the other process refers to ``value``, which stays here."""
        if not self.strict:
            return ["h", references.describe(value, self._number_of(value), self._number_of)]
        number = self._number_of(value) if isinstance(value, type) else self._new_number(value)
        return ["h", references.neutral(value, number, lambda cls: self._numbers.get(id(cls), 0))]

    def _number_of(self, value: object) -> int:
        with self._lock:
            if (number := self._numbers.get(id(value))) is not None:
                return number
        number = self._numbers[id(value)] = self._new_number(value)
        return number

    def _new_number(self, value: object) -> int:
        """Keep ``value``; return a number that tells neither which object this is nor how many came before it."""
        with self._lock:
            if len(self._lent) >= _MAX_LENT:
                raise NotData("too many objects were passed")
            while (number := secrets.randbits(52)) in self._lent:
                continue
            self._lent[number] = value
            return number

    @property
    def gone(self) -> bool:
        """Whether the other process has ended."""
        return self.channel.gone

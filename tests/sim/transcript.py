"""A history that a person can read: time, node, what came in, what was stored, sent and done.

108.147  gw-1     FAULT   cut: 79 s
152.310  gw-1     in      Closed session=3 reason='nothing was heard for too long'
152.314  gw-1     stored  put link/session; rows state 12..13 (app.measured, app.measured)
152.314  gw-1     act     Connect session=4
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from protocol import effects, messages
from tests.checkers import history
from tests.checkers.history import AnyFact

_WORD_CHARS = 60
_LINE_CHARS = 200


def lines(fact: AnyFact) -> Iterator[str]:
    """Yield the lines of one fact."""
    for kind, text in _said(fact):
        yield _cut(f"{fact.at:12.3f}  {fact.node or '-':8} {kind:7} {text}", _LINE_CHARS)


def _said(fact: AnyFact) -> Iterator[tuple[str, str]]:
    match fact:
        case history.Took(input=taken):
            if isinstance(taken, agent.Got | hub.Got | hub.UpGot):
                peer = taken.node if isinstance(taken, hub.Got) else "the hub above"
                yield "heard", f"{_message(taken.message)}  from {peer}"
            elif not isinstance(taken, agent.Tick | hub.Tick):
                yield "in", _struct(taken)
        case history.Stored(ops=ops):
            yield "stored", "; ".join(map(_op, ops))
        case history.Sent(peer=peer, message=message):
            yield "sent", f"{_message(message)}  to {peer}"
        case history.Acted(action=action):
            if not isinstance(action, hub.Notify):
                yield "act", _struct(action)
        case history.Fault(kind=kind, note=note):
            yield "FAULT", f"{kind}: {note}" if note else kind
        case history.Disk(own=own, entries=entries):
            yield "disk", f"{len(own)} rows of its own, {len(entries)} of its children"
        case history.Operated(op=op, error=error):
            yield "asked", f"{_struct(op)}" + (f"  refused: {error}" if error else "")
        case _:
            yield type(fact).__name__.lower(), _struct(fact, ("at", "node"))


def _op(op: effects.Store) -> str:
    match op:
        case effects.Rows(stream=stream, rows=rows):
            kinds = ", ".join(_kind(raw) for _, raw, _ in rows[:4])
            return f"rows {stream} {rows[0][0]}..{rows[-1][0]} ({kinds})"
        case effects.Received(node=node, stream=stream, rows=rows):
            return f"received {node}/{stream} {rows[0][0]}..{rows[-1][0]}"
        case effects.Put(space=space, key=key):
            return f"put {space}/{key}"
        case effects.Delete(space=space, key=key):
            return f"delete {space}/{key}"
        case _:
            return f"{type(op).__name__.lower()} {_struct(op)}"


def _kind(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=messages.Entry).kind
    except msgspec.DecodeError:
        return "?"


def _message(message: messages.AnyMessage) -> str:
    match message:
        case messages.Entries(stream=stream, prev=prev, rows=rows):
            return f"Entries {stream} after {prev}, {len(rows)} rows, session={message.session}"
        case messages.EntriesAck(stream=stream, seq=seq):
            refill = " refill" if message.refill else ""
            return f"EntriesAck {stream} up to {seq}{refill}{' FORK' if message.fork else ''}"
        case messages.Status(count=count):
            return f"Status {count}, session={message.session}, generation={message.held.generation}"
        case _:
            return _struct(message, ("chain", "documents"))


def _struct(value: object, without: tuple[str, ...] = ()) -> str:
    if not isinstance(value, msgspec.Struct):
        return repr(value)
    words = [type(value).__name__] if "at" not in without else []
    for name, default in zip(value.__struct_fields__, _defaults(value), strict=True):
        one: Any = getattr(value, name)
        if name not in without and one != default:
            words.append(f"{name}={_word(one)}")
    return " ".join(words)


def _defaults(value: msgspec.Struct) -> list[object]:
    known = cast("tuple[object, ...]", value.__struct_defaults__)
    return [msgspec.NODEFAULT] * (len(value.__struct_fields__) - len(known)) + list(known)


def _word(one: object) -> str:
    if isinstance(one, float):
        return f"{one:g}"
    if isinstance(one, msgspec.Struct):
        return _cut(f"({_struct(one)})", _WORD_CHARS)
    return _cut(repr(one) if isinstance(one, str) else msgspec.json.encode(one).decode(), _WORD_CHARS)


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"

"""Imports and exports: what a person's command brings goes to the core when it is whole; what the core says goes out.

Nothing of a bundle counts before all of it is here and is what was signed; what breaks off is gone on with (Spool).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.core.upward.courier import Opened, Plan
from edge_agent.shell import identity
from edge_agent.shell.papers.clerk import Clerk
from edge_agent.shell.stick import papers, place
from edge_agent.shell.stick.spool import Spool
from edge_agent.shell.stick.words import Ask, Begin, Export, Import, Part, Words
from protocol import codec, limits, messages
from protocol.aio.driver import message_of
from protocol.aio.journal import Journal
from protocol.bundle import head
from protocol.effects import SendRows, StoredRow
from protocol.errors import Refused
from protocol.link import cursor


@dataclass
class Sticks:
    """Performs Words for whoever may."""

    data: Path
    clerk: Clerk
    journal: Journal

    def __post_init__(self) -> None:
        self._spool = Spool(self.data)
        self._busy = asyncio.Lock()

    async def answers(self, request: Words, ask: Ask) -> AsyncIterator[object]:
        """Yield what a request is answered. Raises SkerryError, OSError."""
        if self._busy.locked():
            raise Refused("another import or export is under way on this device: try again in a moment")
        async with self._busy:
            match request:
                case Part(name=name, at=at, data=data):
                    yield {"ok": await asyncio.to_thread(self._spool.write, name, at, data)}
                case Begin():
                    yield {"ok": await self._begin(ask)}
                case Import():
                    yield {"ok": msgspec.Raw(await self._import(ask))}
                case Export():
                    async for one in self._export(ask):
                        yield one

    async def _begin(self, ask: Ask) -> dict[str, int]:
        opened = await self._opened(ask)
        here = {head.name_of(one) for one in identity.artifacts(self.data)} - set(opened.documents)
        wanted = {name: size for name, size in opened.parts.items() if name not in here}
        return await asyncio.to_thread(self._spool.want, wanted)

    async def _opened(self, ask: Ask) -> Opened:
        raw = self._spool.head()
        down, *_ = head.read(raw, head.Down)
        if len(down.chain) <= limits.CHAIN_BYTES_MAX:
            await self.clerk.prove(down.chain)
        return msgspec.json.decode(await ask(inputs.LocalBundleOpen(head=raw)), type=Opened)

    async def _import(self, ask: Ask) -> bytes:
        opened, raw = await self._opened(ask), self._spool.head()
        here = {head.name_of(one) for one in identity.artifacts(self.data)}
        try:
            documents = [await self._document(name, opened) for name in opened.documents]
            artifacts = opened.parts.keys() - set(opened.documents)
            for name in sorted(artifacts - here):
                path = await asyncio.to_thread(self._spool.check, name, opened.parts[name])
                await place.place(self.data, path, name)
        except Refused as error:
            await ask(inputs.LocalBundleRefused(reason=str(error)))
            raise Refused(f"nothing of it was taken: {error}") from error
        digests = [head.digest_of(name) for name in sorted(artifacts)]
        done = await ask(inputs.LocalBundleTake(head=raw, documents=documents, artifacts=digests))
        await asyncio.to_thread(self._spool.clear)
        return done

    async def _document(self, name: str, opened: Opened) -> bytes:
        path = await asyncio.to_thread(self._spool.check, name, opened.parts[name])
        return await asyncio.to_thread(path.read_bytes)

    # -------------------------------------------------------------------------------------------- up

    async def _export(self, ask: Ask) -> AsyncIterator[object]:
        plan = msgspec.json.decode(await ask(inputs.LocalBundleExport()), type=Plan)
        sizes: dict[str, int] = {}
        order: list[str] = []
        count = 0
        for send in plan.rows:
            async for message in self._messages(send):
                raw = await asyncio.to_thread(codec.encode, message)
                name = hashlib.sha256(raw).hexdigest()
                sizes[name] = len(raw)
                order.append(name)
                count += len(message.rows)
                for one in _pieces(name, raw):
                    yield one
        up = head.Up(
            hub=plan.hub,
            node=plan.node,
            time_ms=plan.time_ms,
            parts=sizes,
            join=await papers.join(self.data),
            hello=plan.hello,
            status=plan.status,
            rows=order,
        )
        raw = await papers.sign(self.data, up)
        if len(raw) > limits.BUNDLE_HEAD_BYTES_MAX:
            raise Refused("too much waits here for one bundle: let it sync over the link")
        yield {"ok": {"head": raw.decode(), "node": plan.node, "hub": plan.hub, "rows": count}}

    async def _messages(self, send: SendRows) -> AsyncIterator[messages.Entries]:
        """Yield the rows of one part of the plan; more than one message when they take more than was reckoned."""
        while send.after < send.upto:
            found = await self.journal.rows(send.stream, send.epoch, send.after, send.upto, limits.ENTRIES_BYTES_MAX)
            message = message_of(send, found)
            if message is None or not _follows(found[0], send.after):
                raise Refused("the journal went on while it was read: export again")
            yield message
            send = msgspec.structs.replace(send, after=found[len(message.rows) - 1][0])


def _follows(row: StoredRow, after: int) -> bool:
    """Tell whether a row is the next one, or a GAP that covers that."""
    return row[0] == after + 1 or cursor.decode_gap(row[1]) is not None


def _pieces(name: str, raw: bytes) -> list[dict[str, object]]:
    size = limits.BUNDLE_CHUNK_BYTES
    return [{"name": name, "at": at, "data": raw[at : at + size]} for at in range(0, len(raw), size)]

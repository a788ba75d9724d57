"""control.sock: the person at the device. Identity is what the kernel says of the caller, never what the caller says.

One JSON request a line, one JSON answer a line: {"do": "stop", "service": "x"} -> {"ok": ...} or {"error": "..."}.
`logs` and `events` are the shell's own and stream {"line": ...} or entries, then {"ok": null}; with `follow` they go
on, and the next byte from the caller ends the connection.
Everybody may open the socket, for whom to let in is the kernel's word about the caller and the owner's about groups
(shell/people): a stranger is told so in one line, and nothing of theirs is read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.shell.people import callers, doors, listening, streams
from edge_agent.shell.people.asking import Asking
from edge_agent.shell.people.callers import Caller, Peer
from edge_agent.shell.people.places import Places
from edge_agent.shell.people.rights import Owner
from edge_agent.shell.people.streams import Events, Logs
from edge_agent.shell.stick.words import Carry, Words
from protocol import limits
from protocol.errors import Refused, SkerryError, StoreDamaged

_Request = inputs.AnyLocalCommand | Logs | Events | Words
_requests: msgspec.json.Decoder[_Request] = msgspec.json.Decoder(_Request)


class Control:
    """The socket's server. `asking` has the core answer, `carry` what concerns sticks; `damaged` is told when reading
    entries meets damage."""

    def __init__(self, data: Path, asking: Asking, carry: Carry, damaged: Callable[[StoreDamaged], None]) -> None:
        self._data, self._asking, self._carry, self._damaged = data, asking, carry, damaged
        self._path = data / "control.sock"
        self._owner, self._places = Owner(), Places()
        self._callers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Bind and serve. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listener = listening.bound(self._path)
        self._path.chmod(0o666)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=limits.CONTROL_LINE_BYTES_MAX)

    async def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        try:
            peer = callers.peer(writer.get_extra_info("socket"))
            with self._places.one(peer):
                doors.enter(await self._caller(peer))
                await self._talk(peer, reader, writer)
        except Refused as error:
            with contextlib.suppress(OSError):
                await streams.write(writer, {"error": str(error)})
        except (OSError, asyncio.CancelledError):
            pass  # the caller hung up, or we stop
        finally:
            self._callers.discard(task)
            writer.close()

    async def _talk(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_over = False
        while not is_over:
            try:
                line = await asyncio.wait_for(reader.readline(), limits.CONTROL_IDLE_S)
            except ValueError:
                raise Refused(f"a request is over {limits.CONTROL_LINE_BYTES_MAX} bytes") from None
            except TimeoutError:
                raise Refused(f"nothing was asked for {limits.CONTROL_IDLE_S:g} s: connect again, and ask") from None
            if not line:
                return
            try:
                is_over = await self._answer(_requests.decode(line), peer, reader, writer)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                await streams.write(writer, {"error": f"not a request: {error}"})
            except (SkerryError, OSError) as error:
                if isinstance(error, StoreDamaged):
                    self._damaged(error)
                await streams.write(writer, {"error": str(error)})

    async def _caller(self, peer: Peer) -> Caller:
        """Return who asks and what they may, judged anew for each request (C8)."""
        return await asyncio.to_thread(callers.of, peer, *self._owner.people())

    async def _look(self, peer: Peer, request: _Request) -> Caller:
        caller = await self._caller(peer)
        doors.look(caller, request, (Logs, Events))
        return caller

    async def _answer(
        self, request: _Request, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Do what is asked; tell whether it was the last request of the connection."""
        caller = await self._look(peer, request)
        if isinstance(request, Words):
            async for one in self._carry(request, lambda command: self._asking.ask(command, caller)):
                await streams.write(writer, one)
            return False
        if not isinstance(request, Logs | Events):
            await streams.write(writer, {"ok": msgspec.Raw(await self._asking.ask(request, caller))})
            return False
        telling = streams.tell(self._data, request, writer)
        await (streams.attended(telling, reader, lambda: self._look(peer, request)) if request.follow else telling)
        return request.follow

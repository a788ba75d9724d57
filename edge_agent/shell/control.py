"""control.sock: the person at the device. Identity is what the kernel says of the caller, never what the caller says.

One JSON request a line, one JSON answer a line: {"do": "stop", "service": "x"} -> {"ok": ...} or {"error": "..."}.
`logs` and `events` are the shell's own and stream {"line": ...} or entries, then {"ok": null} unless they follow.
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
from edge_agent.shell.people import callers, doors, listening
from edge_agent.shell.people.callers import Caller
from edge_agent.shell.people.rights import Owner
from edge_agent.shell.people.streams import Events, Logs, answers
from protocol import limits
from protocol.errors import Refused, SkerryError, StoreDamaged

_ANSWER_WAIT_S = limits.ASK_WAIT_S


_Request = inputs.AnyLocalCommand | Logs | Events
_requests: msgspec.json.Decoder[_Request] = msgspec.json.Decoder(_Request)


class Control:
    """The socket's server. `put` hands a Local to the driver; `reply` performs its LocalReply.

    `damaged` is told when reading entries meets damage.
    """

    def __init__(
        self, data: Path, put: Callable[[inputs.Local], None], damaged: Callable[[StoreDamaged], None]
    ) -> None:
        self._data, self._damaged = data, damaged
        self._path = data / "control.sock"
        self._put = put
        self._owner = Owner()
        self._count = 0
        self._waiting: dict[int, asyncio.Future[inputs.LocalReply]] = {}
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

    def reply(self, action: inputs.LocalReply) -> None:
        """Perform a LocalReply; harmless when the caller is gone."""
        waiting = self._waiting.pop(action.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(action)

    def lost(self, reason: str) -> None:
        """The store failed and what was asked is dropped: say so to all who wait."""
        for number in list(self._waiting):
            self.reply(inputs.LocalReply(request=number, error=f"not done: {reason}"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        try:
            doors.enter(self._caller(writer))
            if len(self._callers) > limits.CONTROL_CONNECTIONS_MAX:
                raise Refused("too many people ask at once: try again in a moment")
            await self._talk(reader, writer)
        except Refused as error:
            with contextlib.suppress(OSError):
                await _write(writer, {"error": str(error)})
        except (OSError, asyncio.CancelledError):
            pass  # the caller hung up, or we stop
        finally:
            self._callers.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                await _write(writer, {"error": f"a request is over {limits.CONTROL_LINE_BYTES_MAX} bytes"})
                return
            if not line:
                return
            try:
                await self._answer(_requests.decode(line), reader, writer)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                await _write(writer, {"error": f"not a request: {error}"})
            except (SkerryError, OSError) as error:
                if isinstance(error, StoreDamaged):
                    self._damaged(error)
                await _write(writer, {"error": str(error)})

    def _caller(self, writer: asyncio.StreamWriter) -> Caller:
        """Return who asks and what they may, judged anew for each request (C8)."""
        return callers.of(writer.get_extra_info("socket"), self._owner)

    async def _answer(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = self._caller(writer)
        doors.look(caller, request, (Logs, Events))
        if isinstance(request, Logs | Events):
            async for one in answers(self._data, request, reader.at_eof):
                await _write(writer, one)
            await _write(writer, {"ok": None})
        else:
            await _write(writer, await self._ask(request, caller))

    async def _ask(self, command: inputs.AnyLocalCommand, caller: Caller) -> dict[str, object]:
        self._count += 1
        number = self._count
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        self._put(inputs.Local(request=number, user=caller.user, uid=caller.uid, command=command))
        try:
            reply = await asyncio.wait_for(answer, _ANSWER_WAIT_S)
        except TimeoutError:
            return {"error": "the agent does not answer: see its log (journalctl -u skerry-agent)"}
        finally:
            self._waiting.pop(number, None)
        return {"error": reply.error} if reply.error else {"ok": msgspec.Raw(reply.data)}


async def _write(writer: asyncio.StreamWriter, answer: object) -> None:
    writer.write(msgspec.json.encode(answer) + b"\n")
    await writer.drain()

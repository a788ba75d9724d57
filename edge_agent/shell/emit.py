"""SKERRY_SOCKET: how workloads talk back. One unix socket for each workload, one JSON item a line.

    {"kind": "measured", "body": {"t": 21.5}}     ->   {"acked": 1}        after the commit
    {"kind": 7}                                   ->   {"error": "..."}    this line is refused, the others count

`acked` counts the items of this connection. Who is slow to commit is not read further (back-pressure): what is read
and not yet committed is bounded in items and bytes. Plain sockets and the loop's readiness serve here, no streams:
a step's last items, which it wrote without waiting, must be read before its end is reported (`finish`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.shell.people import callers
from edge_agent.shell.runners import place
from protocol import limits

_PATH_BYTES_MAX = 107  # of sun_path

_decoder = msgspec.json.Decoder(inputs.Item)


def short_folder(data: Path) -> Path:
    """Return the folder for sockets: within `data`, or a short one when its path leaves too little room."""
    inside = data / "s"
    if len(os.fsencode(inside)) + len("/0123456789ab.sock") <= _PATH_BYTES_MAX:
        return place.passage(inside)
    tag = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    base = Path("/run") if os.access("/run", os.W_OK) else Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp"))  # noqa: S108
    outside = base / f"skerry-{os.geteuid()}-{tag}"
    outside.mkdir(mode=0o711, exist_ok=True)
    if outside.is_symlink() or outside.stat().st_uid != os.geteuid():
        raise PermissionError(f"{outside} belongs to somebody else: remove it, or use a shorter data directory")
    return place.passage(outside)


class EmitSockets:
    """All workloads' sockets. `put` hands an Emitted to the driver; `acked` is called when its batch is committed."""

    def __init__(self, folder: Path, put: Callable[[inputs.Emitted], None]) -> None:
        self._folder = folder
        self._put = put
        self._doors: dict[str, _Door] = {}
        self._connections: dict[int, _Connection] = {}
        self._count = 0

    def open(self, instance: str, uid: int) -> str:
        """Bind the socket of `instance` for user `uid` and return its path. Raises OSError."""
        path = str(self._folder / f"{hashlib.sha256(instance.encode()).hexdigest()[:12]}.sock")
        self._bind(instance, path)
        self._open_to(instance, path, uid)
        return path

    def reopen(self, instance: str, path: str, uid: int = -1) -> None:
        """Bind it again where the running workload looks for it; without `uid` its owner stays who it was."""
        with contextlib.suppress(OSError):
            owner = os.stat(path).st_uid if uid < 0 else uid
            self._bind(instance, path)
            self._open_to(instance, path, owner)

    def _open_to(self, instance: str, path: str, uid: int) -> None:
        if uid != os.geteuid() and os.geteuid():  # it cannot be given away: all may knock, one is let in
            self._doors[instance].uid = uid
            os.chmod(path, 0o666)  # noqa: S103
        elif uid != os.geteuid():
            os.chown(path, uid, -1)

    def _bind(self, instance: str, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(path)
            os.chmod(path, 0o600)
            listener.listen(limits.EMIT_BACKLOG_MAX)
        except OSError:
            listener.close()
            raise
        self._doors[instance] = _Door(self, instance, path, listener)

    def finish(self, instance: str) -> None:
        """The workload has ended: read what it left, close its door. Harmless when there is none."""
        door = self._doors.pop(instance, None)
        if door is not None:
            door.finish()

    def acked(self, action: inputs.EmitAck) -> None:
        """Perform an EmitAck; harmless when the connection is gone."""
        connection = self._connections.get(action.connection)
        if connection is not None:
            connection.acked(action.count, action.error)

    def lost(self, reason: str) -> None:
        """The store failed, and what was on its way to it is dropped: tell the callers, who may send it again."""
        for connection in list(self._connections.values()):
            connection.lost(reason)

    def close(self) -> None:
        """Close everything; the sockets' files stay for the next life."""
        while self._doors:
            self._doors.popitem()[1].close()
        for connection in list(self._connections.values()):
            connection.close()

    def _welcome(self, door: _Door, sock: socket.socket) -> _Connection:
        self._count += 1
        connection = _Connection(self._count, door, sock, self._put, self._gone)
        self._connections[self._count] = connection
        return connection

    def _gone(self, connection: _Connection) -> None:
        self._connections.pop(connection.number, None)


class _Door:
    """The listening socket of one workload."""

    def __init__(self, house: EmitSockets, instance: str, path: str, listener: socket.socket) -> None:
        self.instance = instance
        self.uid = -1
        """The one who is let in, besides root and ourselves; -1: whoever the file's owner and mode let in."""
        self._house = house
        self._path = path
        self._listener = listener
        self._open: set[_Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(listener, self._accept)

    def _accept(self) -> None:
        """Take one connection. Over the bound, callers wait in the backlog until one of them leaves."""
        for _ in range(limits.EMIT_BACKLOG_MAX):
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self.uid < 0 or callers.uid_of(sock) in (self.uid, 0, os.geteuid()):
                break
            sock.close()
        else:
            return
        sock.setblocking(False)
        connection = self._house._welcome(self, sock)  # pyright: ignore[reportPrivateUsage]
        self._open.add(connection)
        if len(self._open) >= limits.EMIT_CONNECTIONS_MAX:
            self._loop.remove_reader(self._listener)

    def left(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def finish(self) -> None:
        for _ in range(limits.EMIT_BACKLOG_MAX):
            before = len(self._open)
            self._accept()
            if len(self._open) == before:
                break
        self.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        for connection in list(self._open):
            connection.finish()

    def close(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()


class _Connection:
    """One caller: its unread part of a line, its batches on their way, its replies."""

    def __init__(
        self,
        number: int,
        door: _Door,
        sock: socket.socket,
        put: Callable[[inputs.Emitted], None],
        gone: Callable[[_Connection], None],
    ) -> None:
        self.number = number
        self._door = door
        self._sock = sock
        self._put = put
        self._gone = gone
        self._part: bytes = b""
        self._lines = 0
        self._acked = 0
        self._batches: deque[tuple[int, int]] = deque()
        self._items = 0
        self._bytes = 0
        self._replies = b""
        self._reading = False
        self._ended = False
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._pace()

    # -------------------------------------------------------------------------------------------- reading

    def _pace(self) -> None:
        """Read on, or not: by what waits for its commit, and by the rate."""
        wait_s = self._free_at - self._loop.time()
        full = self._items >= limits.EMIT_ITEMS_WAITING_MAX or self._bytes >= limits.EMIT_WAITING_BYTES_MAX
        want = not self._ended and not full and wait_s <= limits.EMIT_AHEAD_S
        if want and not self._reading:
            self._loop.add_reader(self._sock, self._read)
        elif self._reading and not want:
            self._loop.remove_reader(self._sock)
        self._reading = want
        if not full and wait_s > limits.EMIT_AHEAD_S and self._timer is None and not self._ended:
            self._timer = self._loop.call_later(wait_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._pace()

    def _read(self) -> int:
        """Read one chunk and hand on its items; return its size, 0 when there is nothing more."""
        try:
            data = self._sock.recv(limits.EMIT_CHUNK_BYTES)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if data:
            self._feed(data)
        else:
            self._ended = True
            self._feed(b"\n" if self._part else b"")
        if self._sock.fileno() >= 0:
            self._pace()
            self._leave_when_done()
        return len(data)

    def finish(self) -> None:
        """Read what is left (bounded) and leave once it is committed."""
        left = limits.EMIT_FINISH_BYTES_MAX
        while left > 0 and self._sock.fileno() >= 0 and not self._ended and (count := self._read()):
            left -= count
        self._ended = True
        if self._sock.fileno() >= 0:
            self._pace()
            self._leave_when_done()

    def _feed(self, data: bytes) -> None:
        data = self._part + data
        cut = data.rfind(b"\n") + 1
        self._part = data[cut:]
        if len(self._part) > limits.EMIT_LINE_BYTES_MAX:
            self._say({"error": f"a line is over {limits.EMIT_LINE_BYTES_MAX} bytes: send less in one item"})
            self.close()
            return
        items = self._decode(data[:cut]) if cut else []
        for start in range(0, len(items), limits.EMIT_ITEMS_PER_BATCH_MAX):
            batch = items[start : start + limits.EMIT_ITEMS_PER_BATCH_MAX]
            size = cut * len(batch) // len(items)
            self._batches.append((len(batch), size))
            self._items += len(batch)
            self._bytes += size
            self._put(inputs.Emitted(connection=self.number, instance=self._door.instance, items=batch))
        self._free_at = max(self._free_at, self._loop.time()) + len(items) / limits.EMIT_ITEMS_PER_S_MAX

    def _decode(self, block: bytes) -> list[inputs.Item]:
        try:
            items = _decoder.decode_lines(block)
        except (msgspec.DecodeError, ValueError, RecursionError):
            items = self._decode_singly(block)
        self._lines += block.count(b"\n")
        return items

    def _decode_singly(self, block: bytes) -> list[inputs.Item]:
        """Take the good lines of a block that holds a bad one, and answer the bad ones."""
        items: list[inputs.Item] = []
        for number, line in enumerate(block.split(b"\n")[:-1], self._lines + 1):
            if not line.strip():
                continue
            try:
                items.append(_decoder.decode(line))
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                self._say({"error": f"line {number} is not an item: {error}"})
        return items

    # -------------------------------------------------------------------------------------------- replies

    def acked(self, count: int, error: str) -> None:
        """The oldest batch on its way is committed, or refused."""
        if self._batches:
            items, size = self._batches.popleft()
            self._items -= items
            self._bytes -= size
        self._acked += count
        self._say({"error": error} if error else {"acked": self._acked})
        if self._sock.fileno() >= 0:
            self._pace()
            self._leave_when_done()

    def lost(self, reason: str) -> None:
        """What is on its way will not be committed."""
        if self._batches:
            self._say({"error": f"{self._items} items are not stored: {reason}; send them again"})
            self.close()

    def _say(self, reply: dict[str, object]) -> None:
        self._replies += msgspec.json.encode(reply) + b"\n"
        self._flush()

    def _flush(self) -> None:
        if self._sock.fileno() < 0:
            return
        try:
            sent = self._sock.send(self._replies)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._replies = b""  # it is gone; what it sent still counts
            return
        self._replies = self._replies[sent:]
        if len(self._replies) > limits.EMIT_REPLIES_BYTES_MAX:
            self.close()  # it never reads its replies
        elif self._replies:
            self._loop.add_writer(self._sock, self._flush)
        else:
            self._loop.remove_writer(self._sock)

    def _leave_when_done(self) -> None:
        if self._ended and not self._batches:
            self.close()

    def close(self) -> None:
        """Let go of the caller."""
        if self._sock.fileno() < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._door.left(self)
        self._gone(self)

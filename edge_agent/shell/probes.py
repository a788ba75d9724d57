"""Health probes: one try each, answered by Probed; when to probe and what it means is the core's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from edge_agent.core import inputs
from edge_agent.shell.launching import confined, passing
from edge_agent.shell.launching.launcher import Launcher
from edge_agent.shell.launching.packets import Unheard
from edge_agent.shell.people import work
from edge_agent.shell.runners import children, place, script
from edge_agent.shell.runners.children import Helpers
from protocol import documents, limits
from protocol.errors import BadId, Refused

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Probes:
    """Runs probes in the service's own place, as its user; at most limits.PROBES_MAX at a time."""

    def __init__(
        self,
        data: Path,
        *,
        node: str,
        tools: script.Tools,
        report: Callable[[inputs.Input], None],
        group: Helpers,
        launcher: Launcher | None = None,
    ) -> None:
        self._data = data
        self._node = node
        self._tools = tools
        self._report = report
        self._group = group
        self._launcher = launcher
        self._room = asyncio.Semaphore(limits.PROBES_MAX)

    def run(self, action: inputs.RunProbe) -> None:
        """Perform a RunProbe."""
        self._group.create_task(self._probe(action))

    async def _probe(self, action: inputs.RunProbe) -> None:
        async with self._room:
            try:
                ok, text = await self._try(action)
            except Unheard:
                return  # it says nothing of the service; the next one follows
            except (Refused, BadId, ValueError) as error:
                ok, text = False, str(error)
            except OSError as error:
                ok, text = False, error.strerror or str(error)
        self._report(inputs.Probed(service=action.service, instance=action.instance, ok=ok, text=text))

    async def _try(self, action: inputs.RunProbe) -> tuple[bool, str]:
        if action.probe.http:
            return await _get(action.probe)
        return await self._execute(action)

    async def _execute(self, action: inputs.RunProbe) -> tuple[bool, str]:
        process, by = action.process, self._launcher
        who = by.identity(process.user) if by is not None else script.identity(process.user)
        cwd = place.find(self._data, process, action.service, action.instance)
        env = script.environment(process.env, action.instance, action.service, self._node, who)
        timeout_s, most = action.probe.timeout_s, limits.PROBE_TEXT_BYTES_MAX
        setting = script.Setting(cwd=cwd, env=env, identity=who, tools=self._tools, limits=process.limits)
        if by is not None:
            whole = msgspec.structs.replace(process, cwd="")
            folder = place.find(self._data, whole, action.service, action.instance)
            asked = confined.beside(action, setting, folder, by.able)
            outcome = await passing.run(by, asked, timeout_s=timeout_s, output_bytes_max=most)
        else:
            work.check(f"p-{action.service}", process.user, action.probe.exec, setting)
            command = script.bounded(action.probe.exec, setting)
            outcome = await children.run(command, timeout_s=timeout_s, cwd=cwd, env=env, output_bytes_max=most)
        if outcome.code is None:
            return False, f"no answer within {timeout_s:g} s"
        return outcome.code == 0, outcome.output.decode(errors="replace").strip() or f"code {outcome.code}"


async def _get(probe: documents.Probe) -> tuple[bool, str]:
    """GET a loopback URL: by hand, because an HTTP client would cost the daemon 7 MB."""
    parts = urlsplit(probe.http)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise Refused(f"{probe.http!r} is no loopback address: write http://127.0.0.1:PORT/PATH")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = f"GET {path} HTTP/1.0\r\nHost: {parts.netloc}\r\nUser-Agent: skerry\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(probe.timeout_s):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or 80, limit=limits.PROBE_REPLY_BYTES_MAX
            )
            try:
                writer.write(request.encode("latin-1", "replace"))
                line = (await reader.readline()).decode("latin-1").strip()
            finally:
                writer.transport.abort()
    except TimeoutError:
        return False, f"{probe.http}: no answer within {probe.timeout_s:g} s"
    except OSError as error:
        return False, f"{probe.http}: {os.strerror(error.errno) if error.errno else error}"
    words = line.split(" ", 2)
    ok = len(words) >= 2 and words[0].startswith("HTTP/") and words[1][:1] in ("2", "3")
    return ok, f"{probe.http}: {line[:200] or 'an empty answer'}"

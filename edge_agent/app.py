"""The agent's composition root: one journal, one core, one link, one runner, in one TaskGroup.

Architecture Invariant: the daemon listens on no network socket (INVARIANTS C14) and imports no HTTP client, no CLI, no
pydantic and no zeroconf (its memory is a feature); what needs them runs as a short-lived helper.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edge_agent import lean
from edge_agent.core import inputs
from edge_agent.core.agent import STREAMS, AgentConfig, AgentCore
from edge_agent.shell import identity, logs, vitals
from edge_agent.shell.artifacts import Artifacts
from edge_agent.shell.control import Control
from edge_agent.shell.emit import EmitSockets, short_folder
from edge_agent.shell.finding import seeking, turning
from edge_agent.shell.launching import launcher
from edge_agent.shell.launching.launcher import Launcher
from edge_agent.shell.launching.patience import Patience
from edge_agent.shell.papers import clerk
from edge_agent.shell.papers.trust import DeviceTrust
from edge_agent.shell.people.asking import Asking
from edge_agent.shell.people.rights import Owner
from edge_agent.shell.probes import Probes
from edge_agent.shell.runners import guard, proc
from edge_agent.shell.runners.children import Helpers
from edge_agent.shell.runners.process import ProcessRunner
from edge_agent.shell.runners.script import Tools
from edge_agent.shell.stick.words import Ask, Words
from edge_agent.shell.upgrade import daemon
from protocol import limits
from protocol.aio.clock import SystemClock
from protocol.aio.driver import Driver
from protocol.aio.journal import Journal
from protocol.aio.mqtt import MqttLink
from protocol.aio.trace import VARIABLE, Trace
from protocol.aio.upkeep import notify
from protocol.aio.upkeep.patience import until_it_can
from protocol.effects import Action
from protocol.errors import StoreError, TrustError
from protocol.link.room.pool import split
from protocol.messages import AnyMessage

if TYPE_CHECKING:
    from edge_agent.shell.stick.sticks import Sticks
    from protocol.link.seal import ChildSeal

log = logging.getLogger("skerry.agent")

VERSION = "0.1.0"  # a test holds it to the package's; reading it from there would cost 1 MB
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_OPEN_FILES = 8_192  # 256 services with a pipe, a pidfd, a socket and their callers


async def serve(data: Path, *, ready: Callable[[str], None] | None = None, stop: asyncio.Event | None = None) -> None:
    """Run the agent in `data` (absolute) until SIGTERM, SIGINT or `stop`; its workloads run on.

    `ready` gets a line when it runs, and one more each time that it has turned to another hub. Raises Refused (not
    enrolled), TrustError, StoreLocked, StoreNewer, StoreDamaged, StoreError.
    """
    os.umask(0o077)
    tools = Tools.find(_raise_open_files())
    while await _live(data, tools, ready or (lambda _: None), stop or asyncio.Event()):
        pass


async def _live(data: Path, tools: Tools, ready: Callable[[str], None], stop: asyncio.Event) -> bool:
    """Live one life; tell whether another one is to follow, which looks up to another hub."""
    file = identity.load(data)
    identity.make_directory(data)
    papers = await clerk.Clerk.of(data, file)
    if papers.certificate.id != file.node:
        raise TrustError(
            f"{data}/cert.pem is for {papers.certificate.id!r}, not {file.node!r}: enroll this device again"
        )
    journal = await until_it_can(lambda: _journal(data, file), log)
    try:
        return await _Serving(data, file, papers, tools, journal).run(ready, stop)
    except ExceptionGroup as group:
        raise _first(group) from group
    finally:
        await journal.close()


async def _journal(data: Path, file: identity.AgentFile) -> Journal:
    return await Journal.open(
        data / "journal.db",
        node=file.node,
        streams=STREAMS,
        telemetry=data / "telemetry.db",
        mint=lambda: os.urandom(8).hex(),
        cache_kib=limits.DEVICE_STORE_CACHE_KIB,
        wal_bytes=split(file.quota_bytes)["wal"] // 2,
    )


class _Serving:
    """One life of the agent: its parts, and how they find each other."""

    def __init__(
        self, data: Path, file: identity.AgentFile, papers: clerk.Clerk, tools: Tools, journal: Journal
    ) -> None:
        self._data, self._file, self._papers, self._tools = data, file, papers, tools
        self._version = VERSION
        self._platform = vitals.platform()
        self._places = daemon.here(data)
        self._pulling = True
        self._turning, self._joining = asyncio.Event(), asyncio.Lock()
        self._contact_s = _contact_s()
        self._link = self._make_link()
        self._driver = self._make_driver(journal)
        self._sockets = EmitSockets(short_folder(data), self._put)
        self._launcher = Launcher.of_this_device()
        self._patience = Patience(self._launcher, self._put) if self._launcher is not None else None
        self._runner = ProcessRunner(
            data, node=file.node, tools=tools, sockets=self._sockets, report=self._put, launcher=self._launcher
        )
        self._asking = Asking(self._put)
        self._journal: Journal = journal
        self._sticks: Sticks | None = None
        self._control = Control(data, self._asking, self._carry, self._driver.distrust)

    def _make_link(self) -> MqttLink:
        file, papers = self._file, self._papers
        return MqttLink(
            node=file.node,
            parent=file.parent,
            host=file.mqtt.host,
            port=file.mqtt.port,
            context=lambda: identity.link_context(self._data, file),
            opened=self._opened,
            closed=self._closed,
            got=lambda message: papers.heard(message, self._helpers, self._got),
            seal=self._seal if file.mqtt.sealed else None,
            contact_s=self._contact_s,
        )

    def _make_driver(self, journal: Journal) -> Driver[AgentCore]:
        file = self._file
        config = AgentConfig(
            node=file.node,
            parent=file.parent,
            trust=DeviceTrust(self._papers.anchor, self._data),
            labels=file.labels,
            quota_bytes=file.quota_bytes,
            contact_s=self._contact_s,
        )
        return Driver(
            make_core=lambda snapshot: AgentCore(snapshot, config),
            journal=journal,
            clock=SystemClock(),
            transport=self._link,
            perform=self._perform,
            tick=inputs.Tick(),
            on_store_error=self._store_failed,
            on_store_healed=lambda: log.warning("the store is well again"),
            on_dropped=self._dropped,
            trace=_trace(file.node, self._data / "journal.db"),
        )

    # -------------------------------------------------------------------------------------------- a life

    async def run(self, ready: Callable[[str], None], stop: asyncio.Event) -> bool:
        """Serve until `stop`, or until this device has turned to another hub: tell whether. Raises ExceptionGroup."""
        loop = asyncio.get_running_loop()
        guard_handle = guard.start(self._data)
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop.set)
        try:
            async with asyncio.TaskGroup() as group:
                self._join(group)
                driving = group.create_task(self._driver.run(self._started))
                await self._driver.settled()
                await self._control.open()
                keeping = [group.create_task(one) for one in self._keepers()]
                loop.call_later(limits.SETTLED_AFTER_S, lean.settle)
                ready(f"agent {self._file.node} runs (hub {self._file.hub}), data in {self._data}")
                keeping.append(group.create_task(notify.feed(self._driver)))
                notify.tell("READY=1", f"STATUS=device {self._file.node} of hub {self._file.hub}")
                waiting = [group.create_task(one.wait()) for one in (stop, self._turning)]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set():  # who says so and goes on with another life is killed in the midst of it
                    notify.tell("STOPPING=1")
                await self._stop()
                for task in (*keeping, *waiting, driving, *self._helpers):
                    task.cancel()
            return not stop.is_set()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            self._runner.close()
            self._sockets.close()
            os.close(guard_handle)

    def _keepers(self) -> Iterator[Coroutine[None, None, None]]:
        """Yield what goes on all the time."""
        yield self._measure()
        yield self._bound_outputs()
        if self._patience is not None:
            yield self._patience.keep()

    def _join(self, group: asyncio.TaskGroup) -> None:
        helpers = self._helpers = Helpers(group)
        self._artifacts = Artifacts(self._data, self._file, report=self._put, group=helpers)
        self._probes = Probes(
            self._data,
            node=self._file.node,
            tools=self._tools,
            report=self._put,
            group=helpers,
            launcher=self._launcher,
        )

    async def _stop(self) -> None:
        """Nobody asks any more; say Bye; store what was heard. Workloads run on."""
        await self._control.close()
        self._put(inputs.Stopping())
        try:
            async with asyncio.timeout(limits.STOP_SETTLE_WAIT_S):
                await self._driver.settled()
        except (TimeoutError, StoreError) as error:
            log.warning("stopping with inputs that are not stored: %s", error or "no time left")
        await self._link.close()

    def _started(self) -> inputs.Started:
        certificate = self._papers.certificate
        if self._launcher is not None:
            self._launcher.ask()
        started = inputs.Started(
            boot_id=proc.boot_id(),
            entropy=os.urandom(32),
            version=self._version,
            found=self._runner.discover(),
            artifacts=self._artifacts.here(),
            platform=self._platform,
            able=self._launcher.able if self._launcher is not None else launcher.NO_LAUNCHER,
            certificate_from_ms=certificate.from_ms,
            certificate_until_ms=certificate.until_ms,
            slots=daemon.slots(self._places),
        )
        self._runner.watch()
        return started

    async def _measure(self) -> None:
        meter = vitals.Meter(self._data)
        while True:
            self._put(inputs.Sampled(vitals=meter.sample(), aside=meter.set_aside()))
            await asyncio.sleep(limits.VITALS_EVERY_S)

    async def _bound_outputs(self) -> None:
        while True:
            await asyncio.sleep(limits.LOG_LOOK_EVERY_S)
            self._runner.bound_outputs()

    # -------------------------------------------------------------------------------------------- between the parts

    def _got(self, message: AnyMessage) -> None:
        self._put(inputs.Got(message=message))

    def _opened(self, session: int) -> None:
        self._put(inputs.Opened(session=session))
        if not self._file.mqtt.sealed:  # a broker's names are no hub's
            self._file = seeking.note_names(self._data, self._file, self._link.peer_names)

    def _moved(self, file: identity.AgentFile) -> None:
        """The hub answers elsewhere from now on."""
        self._file = self._artifacts.file = file
        self._link.host, self._link.port = file.mqtt.host, file.mqtt.port

    def _closed(self, session: int, reason: str) -> None:
        self._put(inputs.Closed(session=session, reason=reason, turned_away=self._link.turned_away))

    def _put(self, event: inputs.Input) -> None:
        self._driver.put(event)

    def _perform(self, action: Action) -> None:
        match action:
            case inputs.EmitAck():
                self._sockets.acked(action)
            case inputs.Launch():
                self._runner.launch(action)
            case inputs.Extend():
                self._runner.extend(action)
            case inputs.Stop():
                self._runner.stop(action)
            case inputs.Forget(instance=instance):
                self._runner.forget(instance)
            case inputs.RunProbe():
                self._probes.run(action)
            case inputs.LocalReply():
                self._asking.reply(action)
            case inputs.Fetch():
                self._artifacts.fetch(action)
            case inputs.Collect():
                self._artifacts.collect(action)
            case inputs.ReadLogs():
                self._helpers.create_task(logs.answer(self._data, action, self._put))
            case _:
                self._perform_for_link(action)

    def _perform_for_link(self, action: Action) -> None:
        match action:
            case inputs.Connect():
                if identity.is_invited(self._data):
                    self._helpers.create_task(self._enroll(action.session))
                elif self._pulling:
                    self._link.connect(action.session, action.nonce)
            case inputs.Disconnect():
                self._link.disconnect(action.reason)
            case inputs.StopPulling():
                self._pulling = False
                self._link.disconnect(action.reason)
                log.warning("the hub turned this device away: %s; its work goes on", action.reason)
            case inputs.Install():
                self._helpers.create_task(daemon.install(self._places, action, self._put))
            case inputs.Vouch():
                self._helpers.create_task(daemon.vouch(self._places, action, self._put))
            case inputs.AwaitInstalled():
                self._helpers.create_task(daemon.settle(self._places, self._put))
            case _:
                self._perform_for_papers(action)

    def _perform_for_papers(self, action: Action) -> None:
        match action:
            case inputs.MakeCsr():
                self._helpers.create_task(self._papers.make_csr(self._put))
            case inputs.AskApart():
                self._helpers.create_task(self._papers.ask_apart(self._put))
            case inputs.LookForHaven():
                self._helpers.create_task(seeking.look(self._data, action, self._put))
            case inputs.CheckMove():
                self._helpers.create_task(self._papers.check_move(action, self._put))
            case inputs.Turn():
                self._file = turning.turn(self._data, action.to)
                self._turning.set()
            case inputs.Seek():
                self._helpers.create_task(seeking.seek(self._data, self._put, self._moved))
            case inputs.StoreCertificate():
                self._helpers.create_task(self._papers.store(action.certificate, self._put))
            case _:
                raise AssertionError(f"nobody performs {action}")

    async def _enroll(self, session: int) -> None:
        """Enroll, if the hub is there: another life begins then, with a link. One try at a time."""
        if self._joining.locked():
            return
        from edge_agent.shell.stick import joining  # by a device that was installed from a stick

        async with self._joining:
            reason = await joining.join(self._data, self._file)
        if reason:
            self._put(inputs.Closed(session=session, reason=reason))
        else:
            self._turning.set()

    def _carry(self, request: Words, ask: Ask) -> AsyncIterator[object]:
        if self._sticks is None:
            from edge_agent.shell.stick.sticks import Sticks  # by who comes with a stick

            self._sticks = Sticks(data=self._data, clerk=self._papers, journal=self._journal)
        return self._sticks.answers(request, ask)

    def _store_failed(self, error: StoreError) -> None:
        log.error("%s; workloads run on, nothing is acknowledged until it can be written again", error)

    def _dropped(self, error: StoreError) -> None:
        self._asking.lost(str(error))
        self._sockets.lost(str(error))

    def _seal(self, session: int, nonce: str) -> ChildSeal:
        from edge_agent.shell.papers import own  # only through a broker: X.509 costs memory
        from protocol.link.seal import ChildSeal

        return ChildSeal(
            node=self._file.node,
            parent=self._file.parent,
            session=session,
            nonce=nonce,
            chain=(self._data / "cert.pem").read_text(),
            sign=own.signer(self._data),
            anchor=self._papers.anchor,
            secret=os.urandom(32),
        )


def _contact_s() -> float:
    """Return the contact interval of a metered link; 0.0: the device's owner says nothing of that."""
    link, error = Owner().link()
    if error:
        log.warning("%s: the link is not metered", error)
    return link.contact_s if link.profile == "metered" else 0.0


def _trace(node: str, store: Path) -> Trace | None:
    if VARIABLE not in os.environ:
        return None
    from protocol.aio.trace import file  # by who is asked for one

    return file.begin("agent", node, store)


def _raise_open_files() -> int:
    """Let this process open enough files; return the limit that workloads get back (0: it is theirs already)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft


def _first(group: ExceptionGroup[Exception]) -> Exception:
    found: Exception = group.exceptions[0]
    while isinstance(found, ExceptionGroup):
        found = cast("ExceptionGroup[Exception]", found).exceptions[0]
    return found

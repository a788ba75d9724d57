"""The hub's composition root: one journal, one core, one door for children, one API, in one TaskGroup."""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import logging
import secrets
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import cast

import msgspec

from hub.core import inputs, streams
from hub.core.hub import HubConfig, HubCore
from hub.core.up.certificate import AskApart, MakeCsr, StoreCertificate
from hub.core.up.seek import Seek
from hub.shell import announce, fetch
from hub.shell.api import app as api
from hub.shell.api.hub import Hub
from hub.shell.artifacts import Artifacts
from hub.shell.authority import Authority
from hub.shell.broker import BrokerDoor
from hub.shell.desk import Desk
from hub.shell.door.knocks import Knocks
from hub.shell.finding import seeking
from hub.shell.front_door import FrontDoor, Verdict
from hub.shell.home import Home, HubFile, Place, check_parent, parse_broker
from hub.shell.init import mint_epoch
from hub.shell.operators import SPACE as OPERATORS
from hub.shell.operators import Operators
from hub.shell.papers import hosts
from hub.shell.papers.renewal import Clerk
from hub.shell.server import ApiServer
from hub.shell.store.entries import Entries
from hub.shell.store.judge import judge
from hub.shell.upgrade import here
from hub.shell.upgrade.trial import Trial
from hub.shell.uplink import Uplink
from protocol import limits, messages
from protocol.aio import tls
from protocol.aio.clock import SystemClock
from protocol.aio.driver import Driver
from protocol.aio.finding.words import Announced
from protocol.aio.journal import Journal, Kept
from protocol.aio.recovery import swap
from protocol.aio.trace import file as trace
from protocol.aio.upkeep import notify
from protocol.aio.upkeep.patience import until_it_can
from protocol.effects import Action
from protocol.errors import Refused, StoreDamaged, StoreError
from protocol.link import table
from protocol.trust import certificates

log = logging.getLogger("skerry.hub")

_KEPT = Kept(
    age_ms=limits.ENTRIES_KEPT_DAYS * 86_400_000, rows=limits.ENTRIES_KEPT_ROWS, bytes=limits.ENTRIES_KEPT_BYTES
)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Door = FrontDoor | BrokerDoor


async def serve(
    data_dir: Path | str,
    broker_url: str | None = None,
    *,
    announced: bool | None = None,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve the hub in `data_dir` until SIGTERM, SIGINT or `stop`; `ready` gets one line when it is up.

    `announced`: say on the local network where it is; None: unless it listens on loopback alone.
    Without `ready` the line is printed. Raises Refused (no hub there, a port in use), StoreLocked, StoreNewer,
    StoreDamaged, StoreError, TrustError.
    """
    home = Home(Path(data_dir))
    file = home.load()
    if broker_url:
        file = msgspec.structs.replace(file, broker=parse_broker(broker_url, file.id))
    keys = Authority(home, file.id)
    check_parent(home, file.parent, keys.scope)
    if not swap.exists(home.database):  # a new one would know no node and no operator
        raise Refused(f"{home.database} is missing: put it back from a backup, or make a new hub in another folder")
    names = streams.names(has_parent=file.parent is not None)
    journal = await until_it_can(
        lambda: Journal.open(home.database, node=file.id, streams=names, mint=mint_epoch, judge=judge), log
    )
    try:
        serving = _Serving(home, file, keys, journal)
        serving.announced = announced
        await serving.run(ready or functools.partial(print, flush=True), stop or asyncio.Event())
    except ExceptionGroup as group:
        raise _first(group.exceptions) from group
    finally:
        await journal.close()


class _Serving:
    """One life of a hub: its parts, and how they find each other."""

    def __init__(self, home: Home, file: HubFile, keys: Authority, journal: Journal) -> None:
        self._home, self._file, self._keys, self._journal = home, file, keys, journal
        self.announced: bool | None = None
        """Whether it says on the local network where it is; None: unless it listens on loopback alone."""
        self._version = importlib.metadata.version("skerry")
        operators = Operators(journal.snapshot().spaces.get(OPERATORS, {}))
        self._up = Uplink(home, file, file.parent, self.put) if file.parent is not None else None
        config = self._config()
        self._clock = SystemClock()
        self._driver: Driver[HubCore] = Driver(
            make_core=lambda snapshot: HubCore(snapshot, config),
            journal=journal,
            clock=self._clock,
            transport=self,
            perform=self._perform,
            tick=inputs.Tick(),
            on_store_error=self._store_failed,
            on_store_healed=self._store_healed,
            trace=trace.begin("hub", file.id, home.database),
        )
        self._trial = Trial(here.places(), home.folder, self._driver.core)
        self._knocks = Knocks()
        self._desk = Desk(self.put, self._driver.room)
        self._refresh_tls()
        self._artifacts = Artifacts(self._home.artifacts)
        self._door = self._make_door()
        self._api = ApiServer(
            api.make(self._hub(operators)), file.api, chain=keys.tls_chain_path, key=keys.tls_key_path
        )

    def _config(self) -> HubConfig:
        keys, file = self._keys, self._file
        return HubConfig(
            node=file.id,
            signer=keys.signer(),
            ticket_secret=keys.ticket_secret,
            parent=file.parent.id if file.parent is not None else "",
            path=keys.path,
            ca_dates=(keys.dates.from_ms, keys.dates.until_ms),
            trust=self._up.trust if self._up is not None else None,
            haven=announce.haven(file, keys.scope),
        )

    def _hub(self, operators: Operators) -> Hub:
        return Hub(
            file=self._file,
            mqtt=self._mqtt_place,
            api=self._api_place,
            version=self._version,
            desk=self._desk,
            core=lambda: self._driver.core,
            now=self._clock.now,
            authority=self._keys,
            operators=operators,
            entries=Entries(self._home.database, self._file.id, self._driver.distrust),
            artifacts=self._artifacts,
            packages=self._home.packages,
            knocks=lambda: self._knocks.recent(time.time()),
        )

    def _make_door(self) -> Door:
        chain, key, root = self._keys.tls_chain_path, self._keys.tls_key_path, self._home.path("root.pem")
        broker, place = self._file.broker, self._file.mqtt
        if broker is not None:
            return BrokerDoor(
                host=broker.host,
                port=broker.port,
                context=lambda: tls.child_context(chain=chain, key=key, root=root, name=broker.name),
                hub=self._file.id,
                inbox=self,
                gate=self._gate,
                signer=self._keys.signer(),
                root=self._keys.root.decode(),
            )
        self._children_tls = tls.parent_context(chain=chain, key=key, root=root)
        return FrontDoor(
            host=place.host,
            port=place.port,
            context=self._children_tls,
            hub=self._file.id,
            inbox=self,
            gate=self._gate,
            farewell=self._farewell,
        )

    # -------------------------------------------------------------------------------------------- between the parts

    def put(self, input: inputs.Input, done: Callable[[], None] | None = None) -> None:  # noqa: A002 - the door's word
        """Hand an input to the driver."""
        self._driver.put(input, done)

    def send(self, peer: str, message: messages.AnyMessage) -> None:
        """Hand a message to the door, or to the way up."""
        if self._up is not None and self._file.parent is not None and peer == self._file.parent.id:
            self._up.send(message)
        else:
            self._door.send(peer, message)

    def _gate(self, who: certificates.Identity) -> Verdict:
        registry, node, key = self._driver.core.registry, who.id, who.key
        if not registry.gate(node, key, who.role) or self._driver.core.lodging.may_come(node, key, who.scope):
            self._knocks.known(node, key)
            return Verdict.ADMITTED
        found = registry.find(node)
        if found is not None and found.revoked_ms:
            return Verdict.REVOKED
        self._knocks.note(node, key, time.time())
        return Verdict.UNKNOWN

    def _farewell(self, node: str) -> messages.Revoked | None:
        return self._driver.core.farewell(node)  # the core of now: another one after a failure of the store

    def _perform(self, action: Action) -> None:
        match action:
            case inputs.Reply():
                self._desk.reply(action)
            case inputs.Notify():
                self._desk.notify(action)
            case inputs.Answered():
                self._desk.answered(action)
            case inputs.CloseChild():
                self._door.close_child(action.node, action.connection, action.reason, action.ban)
            case inputs.DropArtifact(digest=digest):
                self._drop(digest)
            case inputs.IssueCertificate():
                self.put(self._keys.issue(action, time.time()))
            case inputs.FetchArtifact() if self._up is not None:
                self._help(self._fetch(action))
            case table.Connect() if self._up is not None:
                self._up.connect(action.session, action.nonce)
            case table.Disconnect() if self._up is not None:
                self._up.disconnect(action.reason)
            case Seek() if self._up is not None:
                self._help(self._seek(self._up))
            case MakeCsr() | StoreCertificate() | AskApart() if self._up is not None and self._file.parent is not None:
                clerk = Clerk(self._keys, self._up.trust, self._file.parent, self.put, self._renew_tls)
                self._help(clerk.perform(action))
            case _:
                raise AssertionError(f"nobody performs {action}")

    async def _fetch(self, action: inputs.FetchArtifact) -> None:
        assert self._file.parent is not None
        self.put(await fetch.fetch(self._home, self._file.parent, self._artifacts, action))

    async def _seek(self, up: Uplink) -> None:
        """Look for the parent, and go by where it has proved to be."""
        parent, sought = await seeking.seek(self._home, up.parent)
        if parent is not None:
            up.parent = parent
            self._file = msgspec.structs.replace(self._file, parent=parent)
        self.put(sought)

    def _help(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    def _drop(self, digest: str) -> None:
        try:
            self._artifacts.drop(digest)
        except OSError as error:
            log.warning("the artifact %s stays until the next start: %s", digest, error.strerror or error)

    def _store_failed(self, error: StoreError) -> None:
        log.error("%s; nothing is acknowledged until it can be written again", error)
        self._desk.fail(f"the hub cannot store what was asked: {error}")
        self._door.store_failed()

    def _store_healed(self) -> None:
        log.warning("the store is well again")
        self._desk.healed()
        self._door.store_failed()  # what came in between was dropped: its senders repeat it

    def _started(self) -> inputs.Started:
        return inputs.Started(entropy=secrets.token_bytes(32), incarnation=secrets.token_hex(8), version=self._version)

    # -------------------------------------------------------------------------------------------- a life

    async def run(self, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        """Open the doors, serve until `stop`, and close in order. Raises ExceptionGroup when a part fails."""
        loop = asyncio.get_running_loop()
        self._api.bind()
        try:
            await self._door.open()
            for number in _SIGNALS:
                loop.add_signal_handler(number, stop.set)
            async with asyncio.TaskGroup() as group:
                self._group, self._fetches = group, set[asyncio.Task[None]]()
                driving = group.create_task(self._driver.run(self._started))
                self.put(inputs.ArtifactsFound(sizes=self._artifacts.here()))
                await self._driver.settled()
                children = group.create_task(self._door.serve())
                people = group.create_task(self._api.serve())
                keeping = [group.create_task(self._retain()), group.create_task(self._look_at_tls())]
                if announce.is_wanted(self.announced, self._file.api.host):
                    keeping.append(group.create_task(announce.keep(self._announcement(), self._file.api.host)))
                keeping.append(group.create_task(notify.feed(self._driver)))
                keeping.append(group.create_task(self._be_tried()))
                ready(self._line())
                notify.tell("READY=1", f"STATUS={self._line()}")
                alarm = self._driver.core.restore.alarm
                if alarm:
                    log.warning("%s", alarm)
                await stop.wait()
                await self._stop(people, children)
                for task in (*keeping, *self._fetches, driving):
                    task.cancel()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            self._api.close()

    async def _stop(self, people: asyncio.Task[None], children: asyncio.Task[None]) -> None:
        """First nobody asks any more, then nobody reports, then what was heard is stored."""
        notify.tell("STOPPING=1")
        self._desk.close()
        self._api.stop()
        await people
        self.put(inputs.Stopping())
        children.cancel()
        await asyncio.wait((children,))
        try:
            async with asyncio.timeout(limits.STOP_SETTLE_WAIT_S):
                await self._driver.settled()
        except (TimeoutError, StoreError) as error:
            log.warning("stopping with inputs that are not stored (%s); their senders will repeat them", error)
        if self._up is not None:
            await self._up.close()

    def _line(self) -> str:
        broker, children, people = self._file.broker, self._mqtt_place(), self._api_place()
        if broker is not None:
            mqtt = f"broker {_text(broker.host, broker.port)}"
        else:
            mqtt = f"MQTT {_text(children.host, children.port)}"
        return f"hub {self._file.id} ready: {mqtt}, API https://{_text(people.host, people.port)}"

    def _announcement(self) -> Announced:
        broker, api = self._file.broker, self._api_place()
        mqtt = str(self._mqtt_place().port) if broker is None else _text(broker.host, broker.port)
        name = self._keys.scope
        return Announced(hub=self._file.id, name=name, root=self._keys.root_pin, api=api.port, mqtt=mqtt)

    def _mqtt_place(self) -> Place:
        """Return where children connect: the real port, once the door is open."""
        port = self._door.port if isinstance(self._door, FrontDoor) else self._file.mqtt.port
        return Place(host=self._file.mqtt.host, port=port)

    def _api_place(self) -> Place:
        return Place(host=self._file.api.host, port=self._api.port)

    # -------------------------------------------------------------------------------------------- housekeeping

    async def _be_tried(self) -> None:
        """Say, as a version on trial, whether all is well; and journal what became of the last one that was tried."""
        api, mqtt = self._api_place(), self._mqtt_place()
        doors = [_text(api.host, api.port), *([] if self._file.broker else [_text(mqtt.host, mqtt.port)])]
        await self._trial.run(lambda: self._driver.core, self._driver.settled, [str(self._home.folder), *doors])
        told = await self._trial.told()
        if told is not None:
            self.put(told)

    async def _retain(self) -> None:
        """Let go of entries that are too old or too much, some at a time."""
        while True:
            await asyncio.sleep(limits.RETAIN_EVERY_S)
            try:
                while await self._journal.retire(now_ms=_ms(time.time()), mono_ms=_ms(time.monotonic()), kept=_KEPT):
                    await asyncio.sleep(0)
            except StoreDamaged as error:
                self._driver.distrust(error)
            except StoreError as error:
                log.warning("old entries stay for now: %s", error)

    async def _look_at_tls(self) -> None:
        """Renew the hub's own certificate in time; new connections get it."""
        while True:
            await asyncio.sleep(limits.TLS_LOOK_S)
            self._renew_tls()

    def _renew_tls(self) -> None:
        if self._refresh_tls():
            chain, key = self._keys.tls_chain_path, self._keys.tls_key_path
            self._api.context.load_cert_chain(chain, key)
            if isinstance(self._door, FrontDoor):
                self._children_tls.load_cert_chain(chain, key)

    def _refresh_tls(self) -> bool:
        return self._keys.refresh_tls(hosts.of_machine(self._file.api.host), time.time())


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _first(errors: Sequence[Exception]) -> Exception:
    found = errors[0]
    if isinstance(found, ExceptionGroup):
        return _first(cast("ExceptionGroup[Exception]", found).exceptions)
    return found

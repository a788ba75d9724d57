"""A19. In bounded time after the last fault: cursors equal, digests equal, no orphan workload, every task ended.

Demands, of the disks that are read at most CONVERGE_S after Calm (and two contacts of a metered device): a parent's
cursor of each stream stands where the child's head stands (epoch, seq, hash; of real daemons, which are stopped
before the disks are read: at least where it stood at Calm); the child holds the manifest that the parent asks (term,
generation, digest), with the assignments that it follows in force where no artifact is to be fetched; every process
belongs to a service or a run that the device knows; nothing is kept of a service that was deleted; every task has
ended, unknown included; and nobody holds to be revoked whom no operator has revoked.

Cannot see: nodes that are revoked or quarantined (nobody promises them anything), and machines whose disk is not read.
"""

from __future__ import annotations

import msgspec

from hub.core.work import tasks
from protocol import documents, messages
from protocol.link import child_desired, parent_desired, parent_entries
from tests.checkers import base, followed, served, world
from tests.checkers.history import Calm, Disk, Sent

CONVERGE_S = 7_200.0
"""Seconds of the world: a few rounds of the longest waits (a refused hello, a silent lease, backoffs)."""

CONTACTS = 2
"""The intervals of a metered device that may pass beside: one until it connects, one until it says the rest."""

_Spaces = dict[str, dict[str, bytes]]

_decode_asked = msgspec.json.Decoder(parent_desired.Record).decode
_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode
_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode
_decode_group = msgspec.json.Decoder(tasks.Group).decode
_decode_result = msgspec.json.Decoder(tasks.Result).decode


class Convergence(base.Checker):
    """See the module."""

    rule = "A19"

    def watch(self) -> None:
        """Ask for the disks."""
        self._disks: dict[str, Disk] = {}
        self._heads: dict[tuple[str, str], int] = {}
        self._contact_s = 0.0
        """The longest interval that a metered device declared."""
        self.on_sent(messages.Hello, self._hello)
        self.on(Calm, self._calm)
        self.on(Disk, self._disk)

    def _hello(self, fact: Sent, hello: messages.Hello) -> None:
        self._contact_s = max(self._contact_s, hello.contact_s)

    def _calm(self, fact: Calm) -> None:
        for machine in self.world.machines.values():
            self._heads |= {(machine.name, stream): own.last for stream, own in machine.streams.items()}

    def _disk(self, fact: Disk) -> None:
        calm_at = self.world.calm_at
        if calm_at is not None:
            bound_s = CONVERGE_S + CONTACTS * self._contact_s
            self.demand(fact.at - calm_at <= bound_s, f"the disk of {fact.node} is read {bound_s:g} s after calm")
            self._disks[fact.node] = fact

    def end(self) -> None:
        """Compare every parent with its children."""
        for own in self._disks.values():
            known = own.node in self.world.revoked or not served.is_out(own)
            self.demand(known, f"{own.node} holds that it was revoked, and nobody did that")
        for hub in self._disks.values():
            for name in served.by(hub, self._disks, self.world.revoked):
                child = self._disks.get(name)
                if child is not None:
                    self._cursors(hub, child)
                    self._desired(hub, child)
                    self._work(child)
            self._tasks(hub)

    def _cursors(self, hub: Disk, child: Disk) -> None:
        cursors = hub.spaces.get(parent_entries.CURSOR, {})
        for stream, (epoch, last, tip, _) in child.heads.items():
            raw = cursors.get(f"{child.node}/{stream}")
            if raw is None:
                self.demand(last == 0, f"{hub.node} has no cursor for {stream} of {child.node}, which has {last} rows")
                continue
            held = _decode_cursor(raw)
            text = f"{stream} of {child.node}: {hub.node} stands at {held.epoch}/{held.seq}, its head is {epoch}/{last}"
            least = last if self.world.exact else self._heads.get((child.node, stream), 0)
            same = held.seq < last or not world.is_chained(stream) or not tip or held.hash == tip.hex()
            self.demand(held.epoch == epoch and least <= held.seq <= last and same, text)

    def _desired(self, hub: Disk, child: Disk) -> None:
        raw = hub.spaces.get(parent_desired.ASKED, {}).get(child.node)
        asked = _decode_asked(raw) if raw is not None else parent_desired.Record()
        stored = child.spaces.get(child_desired.MANIFEST, {}).get(hub.node)
        if not asked.generation and stored is None:
            return
        text = f"{hub.node} asks {child.node} for generation {asked.generation} of term {asked.term}"
        if stored is None:
            raise self.broken(f"{text}; it holds nothing")
        held = _decode_manifest(stored)
        one = held.signed
        same = (one.term, one.generation, one.digest) == (asked.term, asked.generation, asked.digest)
        self.demand(same, f"{text}; it holds {one.generation} of {one.term}")
        self._in_force(child)

    def _in_force(self, child: Disk) -> None:
        in_force = child.spaces.get("assignment", {})
        for key, digest in followed.items(child.spaces).items():
            kind, _, name = key.partition("/")
            if kind != "assignment":
                continue
            raw = followed.document(child.spaces, key)
            document = documents.decode(raw) if raw is not None else None
            if isinstance(document, documents.Assignment) and not document.process.artifact and name in in_force:
                text = f"{child.node} runs {name} by another assignment than the one it follows"
                self.demand(documents.digest_of(in_force[name]) == digest, text)

    def _work(self, child: Disk) -> None:
        wanted = followed.items(child.spaces)
        services = child.spaces.get("service", {})
        for name in services:
            self.demand(f"assignment/{name}" in wanted, f"{child.node} still keeps {name}, which was deleted")
        known = b"\n".join(services.values())
        for instance, proof in self.world.machine(child.node).running.items():
            if instance.startswith("r-"):
                found = proof in child.spaces.get("run", {}) or not proof
            else:
                found = instance.startswith("s-") and f'"{instance}"'.encode() in known
            self.demand(found, f"{child.node} runs {instance}, which nobody wants")

    def _tasks(self, hub: Disk) -> None:
        """Every task has ended, wherever below its node is: of one that has left, too."""
        results, lost = hub.spaces.get(tasks.RESULTS, {}), self._quarantined()
        for name, raw in hub.spaces.get(tasks.GROUPS, {}).items():
            for address in _decode_group(raw).nodes:
                if lost & set(address.split("/")):
                    continue
                result = results.get(f"{name}/{address}")
                state = _decode_result(result).state if result is not None else "pending"
                self.demand(state in tasks.ENDED, f"task {name} of {hub.node} on {address} is still {state}")

    def _quarantined(self) -> set[str]:
        return {node for hub in self._disks.values() for node in served.quarantined(hub)}

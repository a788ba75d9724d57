"""The mutants: what is broken, in which file, and what is expected to see it."""

from __future__ import annotations

from dataclasses import dataclass, field

POWER = "tests/contract/test_power.py"
CHILD = "protocol/link/child.py"
DESIRED = "protocol/link/child_desired.py"
SENDING = "protocol/link/child_entries.py"
OWN = "protocol/link/own_stream.py"
PARENT = "protocol/link/parent.py"
TAKING = "protocol/link/parent_entries.py"
WALKING = "protocol/link/below/walk.py"
DRIVER = "protocol/aio/driver.py"
TASKS = "edge_agent/core/tasks.py"
OPERATIONS = "protocol/aio/operations.py"
SALVAGE = "protocol/aio/recovery/salvage.py"
WORKLOAD = "edge_agent/core/services/workload.py"
ORIGINS = "protocol/link/relay/origins.py"
DELEGATED = "hub/core/down/delegated.py"


@dataclass(frozen=True)
class Edit:
    """One place: `old` stands in `file` exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One break. `tests`: what is run when the simulator is not expected to see it (`sim` False), or did not."""

    name: str
    rule: str
    says: str
    edits: list[Edit]
    sim: bool = True
    tests: list[str] = field(default_factory=list[str])

    def alter(self, file: str, source: str) -> str:
        """Return the source of `file` with this mutant in it. Raises AssertionError when a place has moved."""
        for edit in self.edits:
            if edit.file == file:
                found = source.count(edit.old)
                assert found == 1, f"mutant {self.name}: {edit.old!r} stands {found} times in {file}, not once"
                source = source.replace(edit.old, edit.new)
        return source


def _one(
    name: str, rule: str, says: str, file: str, old: str, new: str, *, sim: bool = True, tests: list[str] | None = None
) -> Mutant:
    return Mutant(name, rule, says, [Edit(file, old, new)], sim, tests or [])


LINK_TESTS = ["tests/unit/link"]
AIO_TESTS = ["tests/contract/aio"]
RELAY_TESTS = ["tests/unit/relay"]

MUTANTS = [
    _one(
        "normal-for-full",
        "A1",
        "a commit returns before it is on the disk",
        "protocol/aio/sqlite.py",
        "{'FULL' if durable else 'NORMAL'}",
        "{'NORMAL' if durable else 'NORMAL'}",
        sim=False,
        tests=[POWER],
    ),
    _one(
        "ack-before-commit",
        "A1",
        "the driver sends, then stores",
        DRIVER,
        "            await self._store(pending.store)\n",
        "            for send in pending.send:\n                await self._send(send)\n"
        "            await self._store(pending.store)\n",
        sim=False,
        tests=AIO_TESTS,
    ),
    _one(
        "puback-trusted",
        "A2",
        "what was handed to the transport counts as acked",
        SENDING,
        "                flow.sent = upto\n",
        "                flow.sent = upto\n                stream.note_acked(upto, fx)\n",
        tests=LINK_TESTS,
    ),
    _one(
        "prune-before-ack",
        "A3",
        "rows that nobody has go without a GAP",
        OWN,
        "        if floor <= self.acked:\n",
        "        if floor:\n",
        tests=LINK_TESTS,
    ),
    _one(
        "hole-skipped",
        "A4",
        "rows beyond the cursor are applied",
        TAKING,
        "        if message.prev > held.seq:\n",
        "        if False:\n",
        tests=LINK_TESTS,
    ),
    _one(
        "applied-twice",
        "A4",
        "rows below the cursor are applied again",
        WALKING,
        "            if position <= seq:\n                continue\n",
        "",
        tests=LINK_TESTS,
    ),
    _one(
        "cursor-apart",
        "A5",
        "state is committed in a transaction of its own",
        OPERATIONS,
        "        self._write_puts(db)\n",
        '        db.execute("COMMIT")\n        db.execute("BEGIN IMMEDIATE")\n        self._write_puts(db)\n',
        sim=False,
        tests=[POWER],
    ),
    Mutant(
        "epoch-survives-a-restore",
        "A6",
        "a copied or restored journal goes on in its old epoch",
        [
            Edit("protocol/aio/life.py", '        return "restored or copied"\n', '        return ""\n'),
            Edit("protocol/aio/life.py", "        return _RESTORED\n", '        return ""\n'),
        ],
        tests=AIO_TESTS,
    ),
    _one(
        "chain-unchecked",
        "A7",
        "rows are applied though their chain is another",
        WALKING,
        "self.tip.hex() == stated",
        "True",
        sim=False,  # no fault alters bytes under way, and a hello tells of every fork before
        tests=LINK_TESTS,
    ),
    _one(
        "dedupe-by-time",
        "A8",
        "cursors are forgotten after an hour of absence",
        PARENT,
        "        expired = connection == child.expired_on\n",
        "        expired = connection == child.expired_on\n"
        "        if now.wall - (child.last_contact_wall or now.wall) > 3_600.0:\n"
        "            child.incoming.cursors.clear()\n",
        tests=LINK_TESTS,
    ),
    _one(
        "fenced-epoch-comes-back",
        "A9",
        "an epoch that was given up is taken up again",
        TAKING,
        "            elif any(one.epoch == head.epoch for one in held.former):\n",
        "            elif False:\n",
        tests=LINK_TESTS,
    ),
    _one(
        "older-generation-accepted",
        "A10",
        "a lower (term, generation) replaces a higher one",
        DESIRED,
        "        if version < (held.term, held.generation):\n",
        "        if False:\n",
        # what is late or comes again has no valid seal, and the hub asks nothing lower: the last of three doors
        sim=False,
        tests=LINK_TESTS,
    ),
    _one(
        "desired-not-stored",
        "A10",
        "a manifest is followed and not stored",
        DESIRED,
        "        fx.store.append(effects.Put(MANIFEST, self._parent, _encode(self._manifest)))\n",
        "",
        tests=LINK_TESTS,
    ),
    _one(
        "partial-view-deletes",
        "A11",
        "what no manifest was seen for yet counts as deleted",
        WORKLOAD,
        "        self.known = False\n",
        "        self.known = True\n",
        sim=False,  # a device that starts takes its last manifest before it settles anything
        tests=["tests/unit/agent", "tests/scripts"],
    ),
    _one(
        "older-status-wins",
        "A12",
        "a status that comes late replaces a newer one",
        PARENT,
        "        if message.count <= child.status_count:\n",
        "        if False:\n",
        sim=False,  # what is late or comes again has no valid seal: the second of two doors
        tests=LINK_TESTS,
    ),
    Mutant(
        "fence-removed",
        "A13",
        "a will, a close or a message of an older session counts",
        [
            Edit(PARENT, "ours = (session, nonce) == (child.record.session, child.record.nonce)", "ours = True"),
            Edit(PARENT, "ours = connection == child.connection", "ours = True"),
        ],
        sim=False,  # wires and seals drop what is late before the fence is asked: the second of two doors
        tests=LINK_TESTS,
    ),
    _one(
        "clone-unseen",
        "A13",
        "the same session with another nonce is no clone",
        PARENT,
        "            if hello.nonce != record.nonce:\n",
        "            if False:\n",
        tests=LINK_TESTS,
    ),
    _one(
        "task-run-again",
        "A14",
        "an interrupted task runs again though it is not safe to repeat",
        TASKS,
        "document.repeatable and not record.cancelled",
        "not record.cancelled",
        tests=["tests/unit/agent"],
    ),
    _one(
        "late-task-runs",
        "A14",
        "a task runs after its deadline",
        TASKS,
        "        if document.deadline_ms and late_ms > 0:\n",
        "        if False:\n",
        sim=False,  # a deadline is a matter of clocks, and every world bends them
        tests=["tests/unit/agent"],
    ),
    _one(
        "gap-not-written",
        "A16",
        "the quota drops rows and says nothing",
        OWN,
        "        fx.store.append(effects.Gap(self.name, self.epoch, first, last, raw, bytes.fromhex(hole.hash)))\n",
        "        fx.store.append(effects.Trim(self.name, self.epoch, len(raw) and last))\n",
        tests=LINK_TESTS,
    ),
    _one(
        "gap-unsigned",
        "A16",
        "a GAP counts whoever made it",
        WALKING,
        "            if why and not accepted:\n",
        "            if False:\n",
        sim=False,
        tests=LINK_TESTS,
    ),
    _one(
        "credit-ignored",
        "A16",
        "a child sends all it has at once",
        SENDING,
        "            limit = min(stream.last - flow.held, stream.acked + flow.credit)\n",
        "            limit = stream.last - flow.held\n",
        sim=False,  # a link at its own pace has less under way than any credit that a small fleet is given
        tests=LINK_TESTS,
    ),
    _one(
        "restored-hub-lowers",
        "A17",
        "a hub that was restored does not see that its child is ahead",
        "protocol/link/parent_desired.py",
        "            self.blocked = True\n",
        "            self.blocked = False\n",
        tests=LINK_TESTS,
    ),
    _one(
        "memory-ahead-of-the-disk",
        "A1",
        "a core goes on after a commit that failed",
        DRIVER,
        "            self.core = self._make_core(snapshot)\n",
        "            snapshot\n",
        sim=False,
        tests=AIO_TESTS,
    ),
    _one(
        "poison-blocks",
        "A21",
        "a row that nobody can read stops its stream",
        WALKING,
        "                self.poison.append((seq, raw, tip))\n",
        "                return False\n",
        tests=LINK_TESTS,
    ),
    _one(
        "revoked-let-in",
        "C5",
        "a revoked key is served",
        "hub/core/registry.py",
        '        return f"{name} is revoked: {node.revoked_reason}" if node.revoked_ms else ""\n',
        '        return ""\n',
        tests=["tests/unit/hub"],
    ),
    _one(
        "override-undone",
        "B",
        "a person's decision at the device is silently overwritten",
        WORKLOAD,
        "            override=self._overrides.decision(self.name),\n",
        '            override="",\n',
        tests=["tests/unit/agent"],
    ),
    _one(
        "second-copy",
        "B",
        "an agent that comes back starts what runs already",
        WORKLOAD,
        "        elif found is not None:\n            self._running(found.pid, now, fx)\n",
        "        elif found is not None and self.force is not None:\n            self._launch(self.force, now, fx)\n",
        tests=["tests/unit/agent"],
    ),
    _one(
        "signature-unchecked",
        "C3",
        "a manifest is followed whoever signed it",
        DESIRED,
        "            self._trust.check_manifest(signed, self._parent, self._node)\n",
        "            pass\n",
        sim=False,
        tests=LINK_TESTS,
    ),
    _one(
        "copied-rows-taken-twice",
        "A8",
        "rows that a copy of the device brought are stored again",
        OPERATIONS,
        "seq > op.again or not any(stands)",
        "seq",
        tests=[*LINK_TESTS, *AIO_TESTS],
    ),
    _one(
        "said-forgotten",
        "B",
        "an agent forgets which items of a producer it has kept",
        "edge_agent/core/speech/said.py",
        '        fx.store.append(Put(_SAID, instance, b"%d" % last))\n',
        "",
        tests=["tests/unit/agent"],
    ),
    _one(
        "quota-ignored",
        "A16",
        "a stream grows over its quota",
        "protocol/link/room/pool.py",
        "        if over <= 0:\n",
        "        if True:\n",
        tests=LINK_TESTS,
    ),
    _one(
        "doubted-hub-goes-on",
        "A17",
        "a hub that was restored or recovered asks nobody before it makes manifests",
        "hub/core/restore.py",
        "        return self._doubt is not None\n",
        "        return False\n",
        tests=["tests/unit/hub"],
    ),
    _one(
        "doubted-hub-sends-what-it-had",
        "A17",
        "a hub that was restored sends what it asked before its backup",
        PARENT,
        "            child.asked.waits = True\n",
        "            child.asked.waits = False\n",
        tests=["tests/unit/hub"],
    ),
    _one(
        "damaged-epoch-goes-on",
        "A6",
        "a store that was recovered goes on in its old epoch",
        SALVAGE,
        "        epoch = self.opening.mint()\n",
        "        epoch = self.opening.mint() if head is None else head.epoch\n",
        tests=AIO_TESTS,
    ),
    _one(
        "damaged-rows-trusted",
        "A7",
        "a recovery takes rows whose chain does not hold",
        "protocol/aio/recovery/walk.py",
        " and cursor.chain(point[1], raw) == tip",
        "",
        sim=False,
        tests=AIO_TESTS,
    ),
    _one(
        "damaged-state-trusted",
        "D",
        "a recovery takes values whose sum does not hold",
        "protocol/aio/recovery/states.py",
        " or checksum(space, key, value) != total:",
        ":",
        sim=False,
        tests=AIO_TESTS,
    ),
    _one(
        "wall-clock-retires",
        "A15",
        "what a hub keeps ages by its wall clock",
        "protocol/aio/upkeep/retention.py",
        "            arrived.age_ms += max(0, mono_ms - self._mono_ms)\n",
        "            arrived.age_ms += max(0, now_ms - arrived.wall_ms)\n",
        sim=False,
        tests=AIO_TESTS,
    ),
    _one(
        "opening-forgotten",
        "A6",
        "that telemetry was opened may be lost with the power, and its numbers be used again",
        "protocol/aio/life.py",
        '    db.execute("PRAGMA wal_checkpoint")\n',
        "    pass\n",
        sim=False,
        tests=[POWER],
    ),
    Mutant(
        "relayed-twice",
        "A8",
        "rows that a region relays again are stored again",
        [
            Edit(ORIGINS, "            if run.last > record.seq:\n", "            if True:\n"),
            Edit(
                ORIGINS,
                "(run.prev, run.before) if is_beyond else (record.seq, record.hash)",
                "(run.prev, run.before)",
            ),
        ],
        tests=RELAY_TESTS,
    ),
    _one(
        "relayed-in-one-class",
        "A16",
        "a region relays all classes in one stream: metrics push out what devices said in audit and state",
        "protocol/link/relay/runs.py",
        '    return f"relay_{stream}"\n',
        '    return "relay_state"\n',
        sim=False,
        tests=RELAY_TESTS,
    ),
    _one(
        "forced-out-in-silence",
        "A4",
        "of a device that fell silent nobody above hears that a region let go of what it relayed of it",
        "hub/core/up/forced.py",
        "                self._due.add(name)\n",
        "                pass\n",
        sim=False,
        tests=RELAY_TESTS,
    ),
    _one(
        "refill-kept-before-unacked",
        "A3",
        "rows that the parent has stay, and rows that it has not go for them",
        "protocol/link/room/pool.py",
        "        for is_acked in (True, False):\n",
        "        for is_acked in (False,):\n",
        sim=False,
        tests=LINK_TESTS,
    ),
    _one(
        "moved-by-a-lie",
        "A7",
        "a region that relays false rows of a sibling's device moves it below itself",
        ORIGINS,
        "            if record.seq > held:\n",
        "            if True:\n",
        sim=False,  # no region lies there
        tests=RELAY_TESTS,
    ),
    _one(
        "lost-by-a-lie",
        "A4",
        "a region declares rows of a sibling's device lost, and names the key that this one signs with",
        ORIGINS,
        "        if not is_joined:\n",
        "        if False:\n",
        sim=False,
        tests=RELAY_TESTS,
    ),
    _one(
        "due-after-the-next-input",
        "A16",
        "what a relay lets go of while it says what it let go of is not said when it is killed then",
        "hub/core/up/relay.py",
        "            self._forced.look(fx)\n",
        "            pass\n",
        sim=False,
        tests=RELAY_TESTS,
    ),
    _one(
        "sibling-believed",
        "A4",
        "a region says where the stream of a sibling's device ended, and moves its cursor",
        "protocol/link/relay/records.py",
        'return record.at.partition("/")[0] != child and self._belongs(about.node) != child',
        "return False",
        sim=False,  # no region lies there
        tests=RELAY_TESTS,
    ),
    _one(
        "missing-without-bound",
        "A16",
        "a region that invents holes fills the memory of its parent",
        "protocol/link/room/lacking.py",
        "self._counted.of(child) > limits.MISSING_OF_CHILD_MAX",
        "False",
        sim=False,  # no region lies there
        tests=RELAY_TESTS,
    ),
    _one(
        "lodger-believed",
        "C17",
        "a region takes a sibling's device over by saying that it came by a grant",
        "hub/core/rehome/arrivals.py",
        '        if former.state == "online":\n',
        "        if False:\n",
        sim=False,  # no region lies there
        tests=["tests/unit/hub/test_lying_regions.py"],
    ),
    _one(
        "learned-while-heard",
        "C17",
        "a region takes a sibling's device over by saying that it was moved to it",
        "hub/core/rehome/arrivals.py",
        "        if not online:\n",
        "        if True:\n",
        sim=False,  # no region lies there
        tests=["tests/unit/hub/test_lying_regions.py"],
    ),
    _one(
        "relay-acked-unstored",
        "A5",
        "what a region relays is acked, and is not stored",
        "hub/core/down/relayed.py",
        "told += self.origins.run(child, said, fx)",
        "told += self.origins.run(child, said, Effects())",
        tests=RELAY_TESTS,
    ),
    _one(
        "relayed-while-live-alone",
        "A3",
        "what devices say while their region is cut off goes up never",
        "hub/core/up/relay.py",
        "        if up is not None and items:\n",
        "        if up is not None and up.child.live and items:\n",
        tests=RELAY_TESTS,
    ),
    _one(
        "origin-unchecked",
        "A7",
        "relayed rows are taken though their origin's chain is another",
        ORIGINS,
        "        if not walk.is_whole(run.hash):\n",
        "        if False:\n",
        sim=False,  # no fault alters bytes under way
        tests=RELAY_TESTS,
    ),
    _one(
        "partial-roster-deletes",
        "A11",
        "a page of a roster counts as the whole of it",
        "protocol/link/roster/parent.py",
        "            if message.last:\n",
        "            if True:\n",
        sim=False,  # the rosters of small fleets have one page
        tests=["tests/unit/link/test_rosters.py"],
    ),
    _one(
        "share-counted-twice",
        "B",
        "a region places as many as were asked for over all regions",
        DELEGATED,
        "count=document.share, per_region=False",
        "count=compiled.place.count, per_region=False",
        tests=["tests/unit/hub"],
    ),
    _one(
        "region-override-undone",
        "B",
        "a region's override is undone when its owner declares anew",
        DELEGATED,
        "        if key not in core.overrides:\n            origin",
        "        if True:\n            origin",
        tests=["tests/unit/hub"],
    ),
    _one(
        "former-term-kept",
        "A10",
        "a hub that takes a device over asks in the term of its former hub",
        PARENT,
        "        if adopted and not expired and not child.asked.waits:\n",
        "        if False:\n",
        tests=["tests/unit/hub/test_rehome.py", *LINK_TESTS],
    ),
    _one(
        "own-rows-are-a-hole",
        "A4",
        "what a device said to a hub itself is missing there once it comes by way of a region",
        "protocol/link/relay/record.py",
        "        if held is not None and held.seq > self.seq:\n",
        "        if False:\n",
        tests=["tests/unit/hub/test_rehome.py"],
    ),
    _one(
        "relayed-rows-again",
        "A8",
        "a hub takes from a device what came by way of the region that it has left",
        "hub/core/down/relayed.py",
        "        core.parent.elsewhere = self._meet\n",
        "",
        tests=["tests/unit/hub/test_rehome.py"],
    ),
    _one(
        "late-relayed-rows-again",
        "A8",
        "a hub takes from a device what its former region brings after it came",
        "protocol/link/parent_entries.py",
        "        return max(held.again, *(self._reach(",
        "        return max(held.again, *(0 * self._reach(",
        tests=["tests/unit/relay/test_both_ways.py"],
    ),
    _one(
        "move-forgotten-by-a-crash",
        "A19",
        "a device that dies while it proves a Move belongs nowhere",
        "edge_agent/core/agent.py",
        "                self._home.want(self._desired, fx)\n        self._home.start(now, fx)\n",
        "        self._home.start(now, fx)\n",
        tests=["tests/unit/agent/test_home.py"],
    ),
    _one(
        "tasks-outlive-a-move",
        "A19",
        "tasks of a device that has left for another hub never end",
        "hub/core/rehome/lodging.py",
        "        core.errands.give_up(node, f",
        "        str(f",
        sim=False,  # rest is waited for by the same words: see the tests
        tests=["tests/unit/hub/test_rehome.py"],
    ),
    _one(
        "lease-from-the-answer",
        "A20",
        "a lease counts from when its answer came",
        "protocol/link/child.py",
        "[events.Leased(granted=message.granted, asked=asked)]",
        "[events.Leased(granted=message.granted, asked=now.mono)]",
        sim=False,  # an answer that is late by more than the slack is rare there
        tests=["tests/unit/link/test_leases.py"],
    ),
    _one(
        "lease-outlives-a-boot",
        "A20",
        "after a boot a service runs under the lease of the boot before",
        "edge_agent/core/services/workload.py",
        "if found is not None and not self._ctx.rebooted:\n            self.cut.found",
        "if found is not None:\n            self.cut.found",
        sim=False,  # the clock of a boot begins low there
        tests=["tests/unit/agent/test_cut.py"],
    ),
    _one(
        "lease-forgotten-by-the-hub",
        "A20",
        "after a restart of the hub nobody has a lease",
        "hub/core/failover/given.py",
        "                self._until[service, child] = now.mono + lease.bound_s\n\n    def of",
        "                self._until[service, child] = now.mono\n\n    def of",
        sim=False,
        tests=["tests/unit/hub/test_failover.py"],
    ),
    _one(
        "lease-for-everybody",
        "A20",
        "a lease is given though another one still binds",
        "hub/core/failover/leases.py",
        "return own > 0 and own + sum(others.values()) <= record.count",
        "return own > 0",
        sim=False,
        tests=["tests/unit/hub/test_failover.py"],
    ),
    _one(
        "region-without-a-lease",
        "A20",
        "a region lets run what its parent gave it no lease for",
        "hub/core/failover/ceiling.py",
        "        if record.origin is None:\n            return math.inf\n",
        "        if True:\n            return math.inf\n",
        sim=False,
        tests=["tests/unit/hub/test_failover_tiers.py"],
    ),
    _one(
        "launched-without-a-warden",
        "A20",
        "nobody ends what has no lease any more when the agent is dead",
        "edge_agent/shell/runners/process.py",
        "        if action.lease_until:\n",
        "        if False:\n",
        sim=False,
        tests=["tests/contract/shell/test_lease.py"],
    ),
    _one(
        "parked-copy-sent-away",
        "B",
        "the copy of a node that was cut off is stopped because its link came back",
        "hub/core/failover/failover.py",
        "        return {child: one.copies for child, one in self.books.get(key).parked.items()}\n",
        "        return {}\n",
        sim=False,
        tests=["tests/unit/hub/test_failover.py"],
    ),
]

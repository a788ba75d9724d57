"""From the facts about a device to its findings, in an order that makes sense to read."""

from __future__ import annotations

from edge_agent.core.doctor.facts import Device, Enrolled, Resting, Running, Tools, Work
from protocol import limits
from protocol.doctor import files, papers, stores, ways, words
from protocol.doctor.facts import Paper
from protocol.doctor.findings import Finding, Unseen, judged, ok, problem, warning

_FOLDER_MODE = 0o711
_ENROLL = "enroll this device again: skerry-agent enroll --hub URL --token TOKEN"
_RESTORE = f"put it back from a backup of this device, or move its folder aside and {_ENROLL}"
_RENEW = "let the agent run with a way to its hub: it renews itself there, an expired one too"
_DAMAGED = (
    "stop the agent and copy the file for a look, then start it: it sets the file aside, saves what can be read and "
    "declares the rest lost; look why (dmesg, power, card)"
)


def device(seen: Device) -> list[Finding]:
    """Return the findings about a device."""
    if isinstance(seen.folder, Unseen) or not seen.folder.present or isinstance(seen.enrolled, Unseen):
        return [_stranger(seen), judged("tools", seen.tools, _tools), ways.clock("clock", seen.clock, seen.answer)]
    return [
        ok("enrolled", f"as {seen.enrolled.node} at hub {seen.enrolled.hub}"),
        *_files(seen, seen.enrolled),
        judged("tools", seen.tools, _tools),
        judged("workloads", seen.work, _work),
        *_machine(seen),
        *_hub(seen, seen.enrolled),
    ]


def _stranger(seen: Device) -> Finding:
    if isinstance(seen.enrolled, Unseen):
        return problem("enrolled", seen.enrolled.why, seen.enrolled.next)
    return judged("enrolled", seen.folder, lambda folder: files.folder("enrolled", folder, seen.user, _FOLDER_MODE))


def _files(seen: Device, who: Enrolled) -> list[Finding]:
    owner = -1 if isinstance(seen.folder, Unseen) else seen.folder.owner
    now_ms = ways.trusted_now_ms(seen.clock, seen.answer)

    def certificate(paper: Paper) -> Finding:
        return papers.certificate(
            "certificate",
            paper,
            role="node",
            name=who.node,
            key=seen.key,
            now_ms=now_ms,
            restore=_RESTORE,
            renew=_RENEW,
        )

    return [
        judged("folder", seen.folder, lambda one: files.folder("folder", one, seen.user, _FOLDER_MODE)),
        judged("key", seen.key, lambda one: files.key("key", one, owner, _RESTORE)),
        judged("root", seen.root, lambda one: papers.root("root", one, who.root_pin, now_ms, _RESTORE)),
        judged("certificate", seen.certificate, certificate),
        judged(
            "journal", seen.journal, lambda one: stores.store("journal", one, who.node, missing="", damaged=_DAMAGED)
        ),
        judged(
            "telemetry",
            seen.telemetry,
            lambda one: stores.store("telemetry", one, who.node, missing="", damaged=_DAMAGED),
        ),
        judged("set aside", seen.aside, lambda one: files.aside("set aside", one)),
    ]


def _machine(seen: Device) -> list[Finding]:
    newest_ms = 0 if isinstance(seen.journal, Unseen) else seen.journal.newest_ms
    return [
        judged("disk", seen.disk, lambda one: files.disk("disk", one)),
        judged("limits", seen.room, lambda one: files.room("limits", one, limits.DOCTOR_OPEN_FILES_LOW)),
        ways.clock("clock", seen.clock, seen.answer, newest_ms),
    ]


def _tools(seen: Tools) -> Finding:
    if not seen.missing:
        return ok("tools", "all there")
    if seen.missing == ["setpriv"]:
        says = "no setpriv: a workload cannot have a `user` of its own"
        return warning("tools", says, "install util-linux, if one should")
    says = f"no {words.names(seen.missing)}: no workload can be started"
    return problem("tools", says, "install coreutils and util-linux (or busybox)")


def _work(seen: Work) -> Finding:
    if seen.lost:
        says = f"{words.names(seen.lost)}: started, with no end written down and no process left"
        return warning(
            "workloads", says, "a running agent starts them again by their policy: start it if it does not run"
        )
    return ok("workloads", f"{seen.count} known by their folders")


def _hub(seen: Device, who: Enrolled) -> list[Finding]:
    peer = who.broker if who.sealed else f"hub {who.hub}"
    running = seen.agent.version if isinstance(seen.agent, Running) else ""
    return [
        judged("hub", seen.answer, lambda one: ways.hub("hub", one, who.hub, _ENROLL)),
        judged("broker" if who.sealed else "way", seen.way, lambda one: _way(one, who, peer)),
        _agent(seen),
        _link(seen),
        _losses(seen.agent),
        ways.versions("versions", seen.version, seen.answer, running),
    ]


def _way(seen: ways.Way, who: Enrolled, peer: str) -> Finding:
    return ways.way("broker" if who.sealed else "way", seen, peer, _ENROLL)


def _agent(seen: Device) -> Finding:
    agent = seen.agent
    if isinstance(agent, Unseen):
        return problem("agent", agent.why, agent.next)
    if isinstance(agent, Running):
        return ok("agent", f"runs, version {agent.version}")
    if agent.holder:
        who = f"process {agent.holder}" if agent.holder > 0 else "a process that cannot be seen from here"
        says = f"{who} has the journal open and does not answer: {agent.why}"
        return problem(
            "agent", says, "see its log (journalctl -u skerry-agent); if it hangs, end that process and start it"
        )
    start = f"start it: systemctl start skerry-agent, or skerry-agent run --data {seen.data}"
    return problem("agent", "it does not run; what it started runs on", start)


def _link(seen: Device) -> Finding:
    agent = seen.agent
    if isinstance(agent, Unseen):
        return warning("link", "not known: the agent could not be asked", agent.next)
    if isinstance(agent, Resting):
        if agent.standing:
            return _standing(agent.standing)
        last = f"last contact {words.moment(agent.contact_ms)}" if agent.contact_ms else "there was no contact yet"
        return warning("link", f"no agent, no link; {last}", "start the agent")
    waiting = f"{agent.waiting_rows:,} entries wait to sync ({words.size(agent.waiting_bytes)})"
    waiting = waiting if agent.waiting_rows else "all entries are synced"
    if agent.link == "live":
        return ok("link", f"live for {_for(seen, agent.since_ms)}; {waiting}")
    if agent.link == "refused":
        return _standing(agent.reason)
    why = f" ({agent.reason})" if agent.reason else ""
    says = f"{agent.link} for {_for(seen, agent.since_ms)}{why}; {waiting}"
    advice = "nothing is lost meanwhile; what `hub` and `way` above say is where to begin"
    return problem("link", says, advice, away=True)


def _standing(standing: str) -> Finding:
    advice = (
        "ask the operator: `skerry describe node` says why; quarantined: `skerry node accept`; revoked: enroll anew"
    )
    return problem("link", f"the hub turned this device away: {standing}", advice)


def _losses(agent: Running | Resting | Unseen) -> Finding:
    if not isinstance(agent, Running):
        return ok("losses", "not known while no agent answers")
    lost = [f"{count:,} of {stream}" for stream, count in sorted(agent.lost.items()) if count]
    if lost:
        says = f"declared lost, for want of room or by a fault: {', '.join(lost)} entries"
        return warning("losses", says, "the hub knows and shows it; a larger disk, less to say, or a link more often")
    if agent.conditions:
        return warning("losses", f"none; but {words.names(agent.conditions)}", "skerry-agent status says more")
    return ok("losses", "nothing was ever declared lost")


def _for(seen: Device, since_ms: int) -> str:
    return words.duration((seen.clock.now_ms - since_ms) / 1000)

"""From the facts about a device to its findings, in an order that makes sense to read."""

from __future__ import annotations

from edge_agent.core import isolation
from edge_agent.core.doctor import contact
from edge_agent.core.doctor.facts import Device, Enrolled, People, Resting, Running, Tools, Work
from protocol import limits
from protocol.doctor import files, papers, stores, ways, words
from protocol.doctor.facts import Paper, Store
from protocol.doctor.findings import Finding, Unseen, judged, ok, problem, unknown, warning

_FOLDER_MODE = 0o711
_RESTORE = f"put it back from a backup of this device, or move its folder aside and {contact.ENROLL}"
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
        judged("people", seen.people, _people),
        _isolation(seen.agent),
        *_machine(seen),
        *contact.contact(seen, seen.enrolled),
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
            "certificate", paper, "node", who.node, key=seen.key, now_ms=now_ms, restore=_RESTORE, renew=_RENEW
        )

    def store(check: str, one: Store) -> Finding:
        return stores.store(check, one, who.node, missing="", damaged=_DAMAGED)

    return [
        judged("folder", seen.folder, lambda one: files.folder("folder", one, seen.user, _FOLDER_MODE)),
        judged("key", seen.key, lambda one: files.key("key", one, owner, _RESTORE)),
        judged("root", seen.root, lambda one: papers.root("root", one, who.root_pin, now_ms, _RESTORE)),
        judged("certificate", seen.certificate, certificate),
        judged("journal", seen.journal, lambda one: store("journal", one)),
        judged("telemetry", seen.telemetry, lambda one: store("telemetry", one)),
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


def _isolation(agent: Running | Resting | Unseen) -> Finding:
    """Say what the words of a spec are good for here; of a service that goes without the conditions tell."""
    if not isinstance(agent, Running):
        return unknown("isolation", "nobody can tell while no agent answers")
    if agent.able.waits:
        return problem("isolation", agent.able.waits, "see: systemctl status skerry-agent-launch")
    return ok("isolation", f"this device enforces {isolation.summary(agent.able)}")


def _people(seen: People) -> Finding:
    if seen.error:
        return problem("people", f"{seen.error}: only root may ask this agent", "mend it; it counts at once")
    decides = f"the group {seen.act} decides here" if seen.act else "only root decides here"
    looks = f", {seen.read} looks" if seen.read else ""
    if seen.act in seen.missing:
        decides = f"only root decides here: there is no group {seen.act}"
    if seen.read in seen.missing:
        looks = f"; nobody only looks: there is no group {seen.read}"
    if seen.missing and seen.is_said:
        advice = f"make it (sudo groupadd {seen.missing[0]}), or name another in agent.toml: it counts at once"
        return warning("people", decides + looks, advice)
    return ok("people", decides + looks)

"""From the facts about the agent and its hub to findings: is it there, does it run, what does the link say."""

from __future__ import annotations

from edge_agent.core.doctor.facts import Device, Enrolled, Resting, Running
from protocol.doctor import ways, words
from protocol.doctor.facts import Way
from protocol.doctor.findings import Finding, Unseen, judged, ok, problem, unknown, warning

ENROLL = "enroll this device again: skerry-agent enroll --hub URL --token TOKEN"


def contact(seen: Device, who: Enrolled) -> list[Finding]:
    """Return the findings about the hub, the way to it, the agent here and its link."""
    peer = who.broker if who.sealed else f"hub {who.hub}"
    running = seen.agent.version if isinstance(seen.agent, Running) else ""
    return [
        judged("hub", seen.answer, lambda one: ways.hub("hub", one, who.hub, ENROLL)),
        judged("broker" if who.sealed else "way", seen.way, lambda one: _way(one, who, peer)),
        _agent(seen),
        _link(seen),
        _losses(seen.agent),
        *_to_look_at(seen.agent),
        ways.versions("versions", seen.version, seen.answer, running),
    ]


def _way(seen: Way, who: Enrolled, peer: str) -> Finding:
    return ways.way("broker" if who.sealed else "way", seen, peer, ENROLL)


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
    return problem("agent", "it does not run; what it started runs on", start, away=True)


def _link(seen: Device) -> Finding:
    agent = seen.agent
    if isinstance(agent, Unseen):
        return warning("link", "not known: the agent could not be asked", agent.next)
    if isinstance(agent, Resting):
        if agent.standing:
            return _standing(agent.standing)
        last = f"last contact {words.moment(agent.contact_ms)}" if agent.contact_ms else "there was no contact yet"
        return warning("link", f"no agent, no link; {last}", "start the agent")
    noun = "entry waits" if agent.waiting_rows == 1 else "entries wait"
    waiting = f"{agent.waiting_rows:,} {noun} to sync ({words.size(agent.waiting_bytes)})"
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
        return unknown("losses", "nobody can tell while no agent answers")
    lost = [f"{count:,} of {stream}" for stream, count in sorted(agent.lost.items()) if count]
    if lost:
        says = f"declared lost, for want of room or by a fault: {', '.join(lost)} entries"
        return warning("losses", says, "the hub knows and shows it; a larger disk, less to say, or a link more often")
    return ok("losses", "nothing was ever declared lost")


def _to_look_at(agent: Running | Resting | Unseen) -> list[Finding]:
    if not isinstance(agent, Running) or not agent.conditions:
        return []
    return [warning("to look at", words.names(agent.conditions), "skerry-agent status says more")]


def _for(seen: Device, since_ms: int) -> str:
    return words.duration((seen.clock.now_ms - since_ms) / 1000)

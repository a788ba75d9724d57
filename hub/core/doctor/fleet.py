"""From what an operator sees of a hub to findings: the context, the hub, the token, and the fleet in short."""

from __future__ import annotations

from collections.abc import Callable

from hub.core.doctor import absent, folder, parent
from hub.core.doctor.facts import Context, Fleet, Node, Waiting
from protocol import limits
from protocol.doctor import ways, words
from protocol.doctor.findings import Finding, Unseen, judged, ok, problem, warning

_OWN = "take the context.json of the hub that runs there, or check the address in yours"


def fleet(seen: Fleet) -> list[Finding]:
    """Return the findings about an operator's context and the fleet behind it."""
    found = [judged("context", seen.context, _context)]
    if isinstance(seen.context, Unseen):
        return [*found, ways.clock("clock", seen.clock, seen.answer)]
    hub = seen.context.hub
    found.append(judged("hub", seen.answer, lambda one: ways.hub("hub", one, hub, _OWN)))
    if not isinstance(seen.answer, Unseen) and seen.answer.hub == hub:
        found.append(
            judged(
                "token",
                seen.nodes,
                lambda nodes: ok("token", f"good; it shows {len(nodes)} node{'' if len(nodes) == 1 else 's'}"),
            )
        )
    found += [
        ways.clock("clock", seen.clock, seen.answer),
        ways.versions("versions", seen.version, seen.answer),
    ]
    return found if isinstance(seen.nodes, Unseen) else [*found, *_fleet(seen.nodes, seen)]


def beside(hub: str, root: str, seen: Context | Unseen) -> Finding:
    """Judge this user's context beside a hub's directory: whether it leads to that hub, whose root's key is `root`."""
    if isinstance(seen, Unseen):
        return warning("context", f"no use of this hub from here: {seen.why}", seen.next)
    if seen.hub != hub or seen.root != root:
        says = f"{seen.file.path} leads to hub {seen.hub} at {seen.url}, not to the one in this directory"
        return warning("context", says, "set SKERRY_CONTEXT to the context.json of this hub, if you mean it")
    return _context(seen)


def _context(seen: Context) -> Finding:
    file = seen.file
    if file.mode & 0o077:
        says = f"{file.path} holds an operator's token and can be read by others ({file.mode:o})"
        return problem("context", says, f"chmod 600 {file.path}")
    return ok("context", f"{file.path}: hub {seen.hub} at {seen.url}")


def _fleet(nodes: list[Node], seen: Fleet) -> list[Finding]:
    mine = [one for one in nodes if one.state != "revoked"]
    now_ms = ways.trusted_now_ms(seen.clock, seen.answer)
    hubs = "" if isinstance(seen.answer, Unseen) else seen.answer.version
    return [
        _states(nodes),
        *absent.absent(nodes, now_ms),
        *waiting(seen.waiting),
        *parent.parent(seen.above),
        _some("alarms", mine, lambda one: bool(one.alarms), "with an alarm", _ALARM, lambda one: one.alarms[0]),
        _some("clocks", mine, _is_off, "with a clock far off", _CLOCK, lambda one: words.duration(abs(one.offset_s))),
        _some("losses", mine, lambda one: bool(one.lost), "lost entries", _LOST, lambda one: f"{one.lost:,}"),
        _some(
            "refused",
            mine,
            lambda one: bool(one.aside),
            "sent what was set aside",
            _ASIDE,
            lambda one: f"{one.aside:,}",
        ),
        _some("certificates", mine, lambda one: 0 < one.certificate_until_ms < now_ms, "with an expired one", _EXPIRED),
        _some("agents", mine, lambda one: one.version not in ("", hubs), "of another version", _VERSION, _version_of),
    ]


STRANGER = (
    "enrolled after the backup that the hub lives from? then enroll it again: skerry token create, and there "
    "skerry-agent enroll --token TOKEN; its key, its name and its journal stay"
)
_ALARM = "skerry describe node NAME says what happened; skerry node accept NAME ends it"
_CLOCK = "set it there (timedatectl): schedules and deadlines go by it, order does not"
_LOST = "skerry describe node NAME says how many of which stream; its disk or its quota is too small for its absences"
_ASIDE = "skerry describe node NAME; what could not be applied is kept for a look"
_EXPIRED = "it renews itself when the device connects: is it away?"
_VERSION = "upgrade them when you can, the hub first"


def _states(nodes: list[Node]) -> Finding:
    states = [one.state for one in nodes]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    quarantined = [one.name for one in nodes if one.state == "quarantined"]
    if quarantined:
        advice = f"skerry describe node {quarantined[0]} says why; skerry node accept {quarantined[0]} takes it back"
        return problem("nodes", f"{counts}: {words.names(quarantined)} quarantined", advice)
    return ok("nodes", counts or "none yet: skerry token create invites one")


def waiting(seen: Waiting | Unseen) -> list[Finding]:
    """Judge what waits for an operator at a hub."""
    return [judged("restore", seen, lambda one: restored(one.alarm)), judged("strangers", seen, _strangers)]


def restored(alarm: str) -> Finding:
    """Judge a hub's word on its own past: `alarm` is empty while it has no doubt of it."""
    if not alarm:
        return ok("restore", "this hub goes on from its own past; nothing waits for an operator")
    return problem("restore", alarm, folder.RESTORED)


def _strangers(seen: Waiting) -> Finding:
    if not seen.knocks:
        return ok("strangers", "no device knocks that this hub does not know")
    says = f"{words.names(seen.knocks)} would come in with a certificate of this hub, which does not know it"
    return warning("strangers", says, STRANGER)


def _some(
    check: str,
    nodes: list[Node],
    is_so: Callable[[Node], bool],
    says: str,
    advice: str,
    detail: Callable[[Node], str] | None = None,
) -> Finding:
    """Return a warning that names the nodes of which something is so, or that there is none."""
    found = [one for one in nodes if is_so(one)]
    if not found:
        return ok(check, f"no node {says}")
    named = [f"{one.name} ({detail(one)})" if detail is not None else one.name for one in found]
    return warning(check, f"{len(found)} of {len(nodes)} nodes {says}: {words.names(named)}", advice)


def _is_off(node: Node) -> bool:
    return abs(node.offset_s) > limits.DOCTOR_OFFSET_S_LOW


def _version_of(node: Node) -> str:
    return node.version

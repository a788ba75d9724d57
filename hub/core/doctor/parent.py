"""From how a region's link to the hub above it stands to findings. A parent that is away is no problem (A20)."""

from __future__ import annotations

from hub.core.doctor.facts import Above
from protocol.doctor import words
from protocol.doctor.findings import Finding, Unseen, ok, problem, warning

CHECK = "parent"
_ARTIFACTS = "it is tried again by itself: is the hub above reachable, and is there room? See skerry describe hub"
_FOR_EVER = "nothing takes that back; skerry token create --hub lets in a new hub of another name in this one's place"


def parent(seen: Above | Unseen) -> list[Finding]:
    """Return the findings about the hub above, and about what it asks."""
    if isinstance(seen, Unseen):
        return [problem(CHECK, seen.why, seen.next)]
    if not seen.parent:
        return [ok(CHECK, "none: this hub is the root")]
    found = [_link(seen)]
    advice = {
        "manifest-refused": f"are the two hubs of one version? Compare skerry --version here and at {seen.parent}",
        "ca": f"is {seen.parent} away for long? skerry describe node at {seen.parent} shows how it stands there",
        "delegation-refused": f"change what stands in its way here, or have it changed at {seen.parent}",
        "artifact-missing": _ARTIFACTS,
    }
    for what, text in seen.conditions:
        if what in ("manifest-refused", "ca"):
            found.append(problem(what, text, advice[what]))
        elif what in advice:
            found.append(warning(what, text, advice[what]))
    return found


def _link(seen: Above) -> Finding:
    for what, text in seen.conditions:
        if what == "turned-away":
            what_next = (
                _FOR_EVER if text.startswith("revoked") else "skerry node accept, if its operators trust this hub"
            )
            return problem(CHECK, f"{seen.parent}: {text}", f"at {seen.parent}: {what_next}")
    waits = f"{seen.waiting:,} {'entry' if seen.waiting == 1 else 'entries'} to go up"
    if seen.state == "live":
        return ok(CHECK, f"{seen.parent}: live since {words.moment(seen.since_ms)}; {waits}")
    heard = f"last heard {words.moment(seen.last_contact_ms)}" if seen.last_contact_ms else "it was never reached"
    if not seen.state:
        return ok(CHECK, f"{seen.parent}: {heard}, as the store says")
    why = f" ({seen.reason})" if seen.reason else ""
    return ok(CHECK, f"{seen.parent} is away, {heard}{why}: all here goes on; {waits}")

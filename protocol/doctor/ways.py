"""What clocks, answers of a hub and ways to a listener mean."""

from __future__ import annotations

from protocol import limits
from protocol.doctor import words
from protocol.doctor.facts import Answer, Clock, Step, Way
from protocol.doctor.findings import Finding, Unseen, ok, problem, warning

CLIENT_ID_NOT_VALID = 0x85
"""What our own front door says to a known device that gives another client id: the doctor's way not to take over."""

_NOT_LET_IN = (0x87, 0x8A)  # NOT_AUTHORIZED, BANNED


def trusted_now_ms(clock: Clock, answer: Answer | Unseen) -> int:
    """Return the hub's time, as of now, where it is known; else our own."""
    if isinstance(answer, Unseen) or not answer.time_ms:
        return clock.now_ms
    return clock.now_ms + answer.time_ms - answer.at_ms


def clock(check: str, seen: Clock, answer: Answer | Unseen, newest_ms: int = 0) -> Finding:
    """Judge our clock by itself, by the hub's and by the newest entry that was written here."""
    says = words.moment(seen.now_ms)
    set_it = "set it, or let it synchronise (timedatectl set-ntp true, or chrony); order and safety do not hang on it"
    if seen.now_ms < limits.DOCTOR_YEAR_MS_MIN:
        return problem(check, f"{says}: it was never set", set_it)
    if abs(seen.jumped_s) > limits.DOCTOR_JUMP_S:
        return warning(check, f"{says}: it jumped {words.duration(abs(seen.jumped_s))} while the doctor looked", set_it)
    if not isinstance(answer, Unseen) and answer.time_ms:
        return _beside(check, says, (answer.at_ms - answer.time_ms) / 1000, set_it)
    ahead_s = (newest_ms - seen.now_ms) / 1000
    if ahead_s > limits.DOCTOR_OFFSET_S_LOW:
        went = f"{says}: it went back, the newest entry here is {words.duration(ahead_s)} in the future"
        return warning(check, went, set_it)
    return ok(check, f"{says}; no hub to compare it with")


def _beside(check: str, says: str, off_s: float, set_it: str) -> Finding:
    side = "ahead of" if off_s > 0 else "behind"
    off = f"{says}: {words.duration(abs(off_s))} {side} the hub's"
    if abs(off_s) > limits.DOCTOR_OFFSET_S_MAX:
        return problem(check, off, set_it)
    if abs(off_s) > limits.DOCTOR_OFFSET_S_LOW:
        return warning(check, off, set_it)
    return ok(check, f"{says}, as the hub's")


def hub(check: str, seen: Answer, name: str, restore: str) -> Finding:
    """Judge the answer of a hub's API that should be hub `name`. `restore`: what to do when a stranger answers."""
    if seen.stranger:
        return problem(check, f"what answers at {seen.where} is not hub {name} under our root: {seen.error}", restore)
    if seen.error:
        advice = "is it up (skerry hub serve)? does a firewall or a wrong address stand in between? work here goes on"
        return problem(check, f"{seen.where} does not answer: {seen.error}", advice, away=True)
    if seen.hub != name:
        return problem(check, f"hub {seen.hub} answers at {seen.where}, not {name}", restore)
    return ok(check, f"{name} answers at {seen.where}, version {seen.version}")


def versions(check: str, mine: str, answer: Answer | Unseen, running: str = "") -> Finding:
    """Judge what runs where: this command, the daemon here (`running`, where it is known), the hub."""
    theirs = "" if isinstance(answer, Unseen) else answer.version
    if running not in ("", mine):
        says = f"this command is {mine}, what runs here is {running}"
        return warning(check, says, "restart it: it still runs what was installed before")
    if theirs not in ("", mine):
        newer = "the hub" if _number(theirs) > _number(mine) else "this side"
        says = f"{mine} here, {theirs} at the hub: {newer} is newer"
        return warning(check, says, "bring both to one version when you can, the hub first")
    return ok(check, f"{mine}, here and at the hub" if theirs else f"{mine}")


def way(check: str, seen: Way, peer: str, restore: str) -> Finding:
    """Judge a try to reach a listener where `peer` should be. `restore`: what to do when it is a stranger."""
    if seen.stranger:
        return problem(check, f"what answers at {seen.where} is not {peer} under our root: {seen.error}", restore)
    if seen.refused in _NOT_LET_IN:
        says = f"{peer} at {seen.where} does not let us in: it does not know us with this key, or no more"
        return problem(check, says, "ask the operator (skerry describe node); if it was revoked, enroll anew")
    if seen.refused and seen.refused != CLIENT_ID_NOT_VALID:
        says = f"{seen.where} refuses MQTT connections (reason code 0x{seen.refused:02X})"
        return problem(check, says, "see the log of the hub, or of the broker")
    if seen.reached is Step.NOWHERE:
        advice = f"is {peer} up? does a firewall or a wrong address stand in between? work here goes on without it"
        return problem(check, f"{seen.where} cannot be reached: {seen.error}", advice, away=True)
    if seen.cut:
        says = f"{seen.where} takes connections and cuts them off: nobody is behind it"
        return problem(check, says, f"is {peer} up? a proxy or a NAT answers in its place", away=True)
    if seen.error:
        what = {Step.TCP: "TLS", Step.TLS: "MQTT"}.get(seen.reached, "MQTT")
        says = f"{seen.where} is reached, but {what} fails there: {seen.error}"
        return problem(check, says, f"see the log of {peer}: it says why; is it the port of MQTT over TLS?")
    how = "MQTT" if seen.reached is Step.MQTT else "mutual TLS"
    return ok(check, f"{peer} answers at {seen.where} ({how}, {words.duration(seen.took_s)})")


def _number(version: str) -> list[int]:
    return [int(part) if part.isdecimal() else 0 for part in version.split(".")]

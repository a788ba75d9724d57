"""What a certificate means at a moment: whose it is, and its dates.

`now_ms` should be the hub's time where it is known: a device's own clock may be wrong (INVARIANTS A15), and then the
clock is the finding, not the certificate.
"""

from __future__ import annotations

from protocol import limits
from protocol.doctor import words
from protocol.doctor.facts import Key, Paper
from protocol.doctor.findings import Finding, Unseen, ok, problem, warning


def certificate(
    check: str,
    seen: Paper,
    role: str,
    name: str,
    *,
    key: Key | Unseen,
    now_ms: int,
    restore: str,
    renew: str,
) -> Finding:
    """Judge a certificate that is renewed, of `name` in `role`.

    `restore`: what brings a lost one back; `renew`: what renews an old one.
    """
    who = f"{seen.path} is of {seen.role} {seen.id}"
    if seen.flaw:
        return problem(check, f"{seen.path}: {seen.flaw}", restore)
    if (seen.role, seen.id) != (role, name):
        return problem(check, f"{who}, not of {role} {name}", restore)
    if not isinstance(key, Unseen) and key.public not in ("", seen.public):
        return problem(check, f"{seen.path} and {key.file.path} are not a pair", restore)
    if now_ms < seen.from_ms:
        says = f"{seen.path} holds only from {words.moment(seen.from_ms)}, and it is {words.moment(now_ms)}"
        return problem(check, says, "set the clock: it is behind (timedatectl)")
    if now_ms >= seen.until_ms:
        late = words.duration((now_ms - seen.until_ms) / 1000)
        return problem(check, f"{seen.path} expired {late} ago ({words.moment(seen.until_ms)})", renew)
    left = words.duration((seen.until_ms - now_ms) / 1000)
    life_ms = seen.until_ms - seen.from_ms
    if now_ms > seen.from_ms + life_ms * limits.DOCTOR_RENEW_SHARE:
        return warning(check, f"{seen.path} expires in {left}, and should have been renewed by now", renew)
    return ok(check, f"{role} {name}, under our root, for {left} more; it renews itself")


def root(check: str, seen: Paper, pin: str, now_ms: int, restore: str) -> Finding:
    """Judge the root certificate, or another that is not renewed; `pin`: its key's SHA-256 (hex), if known."""
    if seen.flaw:
        return problem(check, f"{seen.path}: {seen.flaw}", restore)
    if pin and seen.public != pin:
        says = f"{seen.path} is not the root that was pinned ({seen.public[:12]}…, not {pin[:12]}…)"
        return problem(check, says, restore)
    left_s = (seen.until_ms - now_ms) / 1000
    if left_s <= 0:
        says = f"{seen.path} ended {words.duration(-left_s)} ago ({words.moment(seen.until_ms)})"
        return problem(check, says, "check the clock; if it is right, this needs a new hub, and devices enrolled there")
    if left_s < limits.DOCTOR_ROOT_S_LOW:
        says = f"{seen.path} ends in {words.duration(left_s)}"
        return warning(check, says, "plan a new hub: devices must enroll there before this ends")
    return ok(check, f"key {seen.public[:12]}…, for {words.duration(left_s)} more")

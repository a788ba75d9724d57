"""Overrides of one resource as people read them: what was decided where, until when, and who asked for it back."""

from __future__ import annotations

from typing import Any

from hub.cli.view import human

SHOWN = 6


def rows(events: list[dict[str, Any]], now_ms: int) -> list[tuple[str, str]]:
    """Return a line for each of the newest facts about overrides, of this hub and of those below."""
    return [(human.stamp(one["time_ms"]), _words(one, now_ms)) for one in events[-SHOWN:]]


def _words(event: dict[str, Any], now_ms: int) -> str:
    body, where = event["body"], event.get("path") or event["node"]
    match event["kind"]:
        case "override.begun":
            return (
                f"{where}: overridden by {body['who']} until {human.clock(body['until_ms'], now_ms)}: {body['reason']}"
            )
        case "override.ended":
            return f"{where}: that of {body['who']} ended, {body['why']}"
        case "override.asked-back":
            return f"{where}: {body['at']} was asked for that of {body['by']} by {body['who']}: {body['reason']}"
        case "override.given-back":
            return f"{where}: {body['at']} has given it back"
        case _:
            return f"{where}: {body['at']} has another one by now, which stays"


def asked(one: dict[str, Any], now_ms: int) -> str:
    """Return the sentence for what a region was asked to end: whose override, and when that comes true."""
    mark, name = one["override"], one["path"]
    until = f"until {human.clock(mark['until_ms'], now_ms)}" if mark.get("until_ms") else "until released"
    text = f"{name} is asked to end the override by {mark['user']} ({until}, because {mark.get('reason') or 'nothing'})"
    if one["state"] == "online":
        return text
    away = one["silent"] or name
    return f"{text}; {away} is away since {human.clock(one['since_ms'], now_ms)}: it ends there at the next contact"


def asked_back(one: dict[str, Any], now_ms: int) -> str:
    """Return `; asked back by ada at 14:02, because ...` of a mark, or nothing."""
    asked = one.get("asked_back")
    if not asked:
        return ""
    when = human.clock(asked["asked_ms"], now_ms)
    who = f"{asked['by']} at {asked['owner']} ({when}), because {asked['reason']}"
    return f"; asked back by {who}: it ends at the next contact"

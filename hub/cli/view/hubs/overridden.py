"""Overrides of one resource as people read them: what was decided where, until when, and who asked for it back."""

from __future__ import annotations

from typing import Any

from hub.cli.view import happened, human

SHOWN = 6


def rows(events: list[dict[str, Any]], now_ms: int) -> list[tuple[str, str]]:
    """Return a line for each of the newest facts about overrides, of this hub and of those below."""
    return [(human.stamp(one["time_ms"]), _words(one, now_ms)) for one in events[-SHOWN:]]


def _words(event: dict[str, Any], now_ms: int) -> str:
    """Return what happened; of what this command does not know, or that lacks something, as it was told."""
    where = event.get("path") or event["node"]
    try:
        return f"{where}: {_known(event['kind'], event['body'], now_ms)}"
    except (KeyError, TypeError, ValueError):
        return f"{where}: {event['kind']} {happened.words(event)}"


def _known(kind: str, body: dict[str, Any], now_ms: int) -> str:
    """Return what is told of an override. Raises KeyError, TypeError and ValueError for what a hub never tells."""
    match kind:
        case "override.begun":
            return f"overridden by {body['who']} until {human.clock(body['until_ms'], now_ms)}: {body['reason']}"
        case "override.ended":
            return f"that of {body['who']} ended, {body['why']}"
        case "override.asked-back":
            return f"{body['at']} was asked for that of {body['by']} by {body['who']}: {body['reason']}"
        case "override.given-back":
            return f"{body['at']} has given it back"
        case "override.kept":
            return f"{body['at']} has another one by now, which stays"
        case "override.over":
            return f"{body['at']} is asked for it no longer: {body['why']}"
        case _:
            raise KeyError(kind)


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

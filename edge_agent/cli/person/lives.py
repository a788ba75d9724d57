"""How long a decision holds, as a person says it: `--for 2h`, `--until 14:30`, `--until released`."""

from __future__ import annotations

import datetime

import typer

_LIFE_S_MAX = 1e9
_RELEASED = "released"
_WHEN = "write 14:30, '2026-11-23 06:00', or released"


def of(life: str, until: str, now_ms: int) -> dict[str, object]:
    """Return `until_ms` as a request carries it: 0 until released; nothing, when neither is given.

    Raises typer.BadParameter.
    """
    if life and until:
        raise typer.BadParameter("--for and --until say the same in two ways: give one", param_hint="--until")
    if life:
        return {"until_ms": now_ms + _span_ms(life)}
    if until:
        return {"until_ms": 0 if until == _RELEASED else _moment_ms(until, now_ms)}
    return {}


def _span_ms(life: str) -> int:
    from protocol.spec import quantities  # the operator's language is large

    try:
        seconds = quantities.parse_duration(life)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _LIFE_S_MAX:
        raise typer.BadParameter(f"{life!r} is no time: write 30m, 2h or 1d", param_hint="--for")
    return int(seconds * 1000)


def _moment_ms(until: str, now_ms: int) -> int:
    """Return the next time that a local clock shows `until`."""
    now = datetime.datetime.fromtimestamp(now_ms / 1000, tz=datetime.UTC).astimezone().replace(tzinfo=None)
    try:
        if len(until) > len("14:30"):
            return _ms(datetime.datetime.fromisoformat(until))
        clock = datetime.datetime.strptime(until, "%H:%M").time()  # noqa: DTZ007 - a local clock has no zone
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{until!r} is no moment: {_WHEN}", param_hint="--until") from None
    today = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
    return _ms(today if today > now else today + datetime.timedelta(days=1))


def _ms(moment: datetime.datetime) -> int:
    return int(moment.astimezone().timestamp() * 1000)

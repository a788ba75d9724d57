"""The decisions about one service, as pure functions of what is wanted and what is there."""

from __future__ import annotations

import enum

import msgspec

from edge_agent.core import inputs
from protocol import documents

_encoder = msgspec.json.Encoder(order="deterministic")


class Aim(enum.Enum):
    """What should become of a service."""

    RUN = "run"
    REST = "rest"
    GONE = "gone"


def aim(*, wanted: bool, known: bool, override: str, done: bool, cut: bool) -> Aim:
    """Return what should become of a service.

    `known`: a complete manifest was seen in this life; before that, what was in force stays (A11). `override` is
    `stop`, `start` or empty, and outranks the hub. `done`: it ended, and its policy does not start it again. `cut`: it
    may not run as long as the hub is not heard.
    """
    if known and not wanted:
        return Aim.GONE
    if override == "stop" or done or cut:
        return Aim.REST
    return Aim.RUN


def is_done(restart: str, *, failed: bool) -> bool:
    """Tell whether a service that ended so stays ended. An unknown outcome counts as a failure."""
    return restart == "never" or (restart == "on-failure" and not failed)


def process_digest(process: documents.Process) -> str:
    """Return what names the runtime part of an assignment: only a change of this restarts it (DESIGN 4)."""
    return documents.digest_of(_encoder.encode(process))


def exit_text(exit_: inputs.Exit) -> str:
    """Return how a process ended, for people."""
    if exit_.signal is not None:
        return f"signal {exit_.signal}"
    if exit_.code is not None:
        return f"code {exit_.code}"
    return "unknown (lost with the power or by force)"

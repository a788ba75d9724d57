"""What a person's command says over the control socket when it carries a bundle. `data` is base64 there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from edge_agent.core import inputs


class Part(inputs.LocalCommand, frozen=True, kw_only=True, tag="import-part"):
    """Bytes of `bundle.json`, or of a part, from byte `at` on; `at` 0 begins anew."""

    name: str
    at: int
    data: bytes


class Begin(inputs.LocalCommand, frozen=True, kw_only=True, tag="import-begin"):
    """`bundle.json` is here: check it. The answer names the parts that lack, and how much of each is here."""


class Import(inputs.LocalCommand, frozen=True, kw_only=True, tag="import"):
    """All parts are here: take the bundle."""


class Export(inputs.LocalCommand, frozen=True, kw_only=True, tag="export"):
    """Make a bundle: {"name": ..., "at": ..., "data": ...} for the pieces of each part, then the head of all."""


Words = Part | Begin | Import | Export
"""Each is for those who may act."""

Ask = Callable[[inputs.LocalCommand], Awaitable[bytes]]
"""Has the core do a command in the caller's name; returns the reply's JSON. Raises Refused."""

Carry = Callable[[Words, Ask], AsyncIterator[object]]
"""Yields what a request is answered, {"ok": ...} last. Raises SkerryError, OSError."""

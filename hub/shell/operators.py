"""Operators and their bearer tokens, `so1.NAME.SECRET`. A hub stores only the SHA-256 of the secret.

They stand in the space `operator` of the hub's store: key = the operator's name.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec

from protocol import ids, limits
from protocol.trust import signing

SPACE = "operator"


class Operator(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operator, as stored."""

    name: str
    secret_hash: str
    created_ms: int = 0


class Operators:
    """Who may use the API. Unknown and wrong are told apart by nobody."""

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        """`stored` is the space `operator` of a snapshot."""
        self._by_name = {name: msgspec.json.decode(raw, type=Operator) for name, raw in stored.items()}

    def who(self, bearer: str) -> str | None:
        """Return the name of the operator whose token this is, or None."""
        parts = bearer.split(".") if len(bearer) <= limits.TOKEN_BYTES_MAX else []
        if len(parts) != 3 or parts[0] != "so1":
            return None
        operator = self._by_name.get(parts[1])
        expected = operator.secret_hash if operator is not None else "0" * 64
        genuine = signing.same(signing.secret_hash(parts[2]), expected)
        return operator.name if operator is not None and genuine else None


def mint(name: str, secret: bytes, now_ms: int) -> tuple[str, Operator]:
    """Return a bearer token for `name` from 32 random bytes, and what to store of it."""
    assert len(secret) == 32
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return f"so1.{ids.name(name)}.{text}", Operator(name=name, secret_hash=signing.secret_hash(text), created_ms=now_ms)

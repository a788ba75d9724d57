"""What the daemon keeps and journals of another version of itself."""

from __future__ import annotations

import msgspec


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked of root last, and the services that ran then (name -> instance). `is_told`: how it went."""

    number: int = 0
    instances: dict[str, str] = {}
    is_told: bool = False


class UpgradeFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `upgrade.asked`, `upgrade.done`, `upgrade.back` and `upgrade.refused`."""

    version: str
    former: str = ""
    by: str = ""
    number: int
    reason: str = ""

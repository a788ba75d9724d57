"""What an apply did, a line for each document."""

from __future__ import annotations

from typing import Any

from hub.cli.view import human


def line(one: dict[str, Any], dry_run: bool) -> str:
    """Return what became of one document, and where it goes."""
    nodes, regions = one["nodes"], one.get("regions", {})
    verb = {"created": "would be created", "changed": "would be changed"} if dry_run else {}
    said = [f"{one['kind']}/{one['name']} {verb.get(one['action'], one['action'])}"]
    if nodes:
        said.append(f"on {human.plural(len(nodes), 'node')}: {_some(nodes)}")
    if regions:
        shares = [name if share is None else f"{name} ({share})" for name, share in regions.items()]
        said.append(f"in {human.plural(len(regions), 'region')}: {_some(shares)}")
    return ", ".join(said) + (f"; {one['note']}" if one.get("note") else "")


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")

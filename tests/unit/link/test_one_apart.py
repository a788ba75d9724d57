"""Versions one apart (decision 0056): what a newer one adds to a record that is sent or stored is passed over."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

_MADE_BY_PEOPLE = "edge_agent.shell.people.rights"
"""agent.toml: there an unknown field is a mistake."""
_LATER: dict[str, Any] = {"later": {"of": ["the", "next", "version"]}}
_DEPTH = 4


def _structs() -> list[type[msgspec.Struct]]:
    """Return every record of the protocol, the cores and the agent's files that is read from JSON."""
    for root in ("protocol", "hub.core", "edge_agent.core", "edge_agent.shell"):
        package = importlib.import_module(root)
        for one in pkgutil.walk_packages(package.__path__, f"{root}."):
            if not one.name.endswith("__main__"):
                importlib.import_module(one.name)
    ours = {one for one in _below(msgspec.Struct) if one.__module__.startswith(("protocol.", "hub.", "edge_agent."))}
    return sorted(filter(_is_readable, ours), key=lambda one: f"{one.__module__} {one.__qualname__}")


def _below(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _is_readable(kind: type[msgspec.Struct]) -> bool:
    try:
        known = inspect.type_info(kind)
    except (TypeError, NameError):
        return False
    return not _is_foreign(known, set())


def _is_foreign(known: Any, seen: set[Any]) -> bool:
    """Tell whether a part of `known` is of a type that no JSON holds, or of what people write."""
    if isinstance(known, inspect.CustomType | inspect.AnyType):
        return True
    if isinstance(known, inspect.StructType):
        if known.cls in seen:
            return False
        seen.add(known.cls)
        return known.cls.__module__ == _MADE_BY_PEOPLE or any(_is_foreign(field.type, seen) for field in known.fields)
    parts = [getattr(known, name, None) for name in ("item_type", "key_type", "value_type")]
    many = [*getattr(known, "types", ()), *getattr(known, "item_types", ())]
    return any(_is_foreign(one, seen) for one in (*parts, *many) if one is not None)


def _made(known: Any, depth: int, *, later: bool) -> Any:
    """Return JSON that is read as `known`; with `later`, each record in it has something more."""
    match known:
        case inspect.StructType():
            return _record(known, depth, later=later)
        case inspect.UnionType():
            return _made(next(one for one in known.types if not isinstance(one, inspect.NoneType)), depth, later=later)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return [_made(known.item_type, depth, later=later)]
        case inspect.TupleType():
            return [_made(one, depth, later=later) for one in known.item_types]
        case inspect.DictType():
            return {_made(known.key_type, depth, later=later): _made(known.value_type, depth, later=later)}
        case inspect.IntType() | inspect.FloatType():
            return max(1, known.ge or 0)
        case inspect.BoolType():
            return True
        case inspect.NoneType():
            return None
        case inspect.EnumType():
            return next(iter(known.cls)).value
        case inspect.LiteralType():
            return known.values[0]
        case inspect.RawType():
            return {"raw": 1}
        case _:
            return "AAAA"


def _record(known: inspect.StructType, depth: int, *, later: bool) -> Any:
    fields = {
        one.encode_name: _made(one.type, depth + 1, later=later)
        for one in known.fields
        if one.required or depth < _DEPTH or known.array_like
    }
    tag = {known.tag_field: known.tag} if known.tag_field else {}
    if known.array_like:
        return [*tag.values(), *fields.values(), *([_LATER] if later else [])]
    return {**tag, **fields, **(_LATER if later else {})}


def test_a_record_with_more_in_it_is_read_as_without() -> None:
    kinds = _structs()
    assert len(kinds) > 400, "they are found"
    for kind in kinds:
        known = inspect.type_info(kind)
        decode = msgspec.json.Decoder(kind).decode
        plain, more = (decode(json.dumps(_made(known, 0, later=one))) for one in (False, True))
        assert msgspec.json.encode(more) == msgspec.json.encode(plain), kind

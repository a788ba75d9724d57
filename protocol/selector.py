"""Which nodes: a selector over labels, small and pure.

    site=oslo,gpu        the label site is oslo, AND there is a label gpu (whatever its value)
    site!=oslo           the label site is absent or is not oslo
    !gpu                 there is no label gpu
    *                    every node, said on purpose; it stands alone

An empty selector selects nobody (INVARIANTS C7); every tier that uses one checks again with `matches`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

import msgspec

from protocol import limits
from protocol.errors import BadSelector

_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?", re.ASCII)
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?)?", re.ASCII)

KEY_RULE = "1 to 63 letters, digits and inner . _ / -"
VALUE_RULE = "0 to 63 letters, digits and inner . _ : -"


class Op(enum.Enum):
    """What one term asks of one label."""

    EQUALS = "="
    DIFFERS = "!="
    HAS = ""
    LACKS = "!"
    ANY = "*"


class Term(msgspec.Struct, frozen=True):
    """One condition; all terms of a selector hold together."""

    op: Op
    key: str = ""
    value: str = ""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether `labels` fulfil this term."""
        match self.op:
            case Op.EQUALS:
                return labels.get(self.key) == self.value
            case Op.DIFFERS:
                return labels.get(self.key) != self.value
            case Op.HAS:
                return self.key in labels
            case Op.LACKS:
                return self.key not in labels
            case Op.ANY:
                return True

    def __str__(self) -> str:
        if self.op is Op.EQUALS or self.op is Op.DIFFERS:
            return f"{self.key}{self.op.value}{self.value}"
        return self.op.value + self.key


class Selector(msgspec.Struct, frozen=True):
    """A conjunction of terms. Without terms it matches nobody."""

    terms: tuple[Term, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a node with `labels` is selected."""
        return bool(self.terms) and all(term.matches(labels) for term in self.terms)

    def __str__(self) -> str:
        return ",".join(str(term) for term in self.terms)


def parse(text: str) -> Selector:
    """Return the selector in `text`. Raises BadSelector, whose `at` is the 0-based offset of the bad term."""
    if not text.strip():
        return Selector(())
    terms: list[Term] = []
    at = 0
    for part in text.split(","):
        terms.append(_term(text, part.strip(), at + len(part) - len(part.lstrip())))
        at += len(part) + 1
    if len(terms) > limits.LABELS_MAX:
        raise BadSelector(f"a selector of {len(terms)} terms: write at most {limits.LABELS_MAX}", 0)
    if len(terms) > 1 and any(term.op is Op.ANY for term in terms):
        raise BadSelector(f'"{text[:80]}": "*" means every node and stands alone', 0)
    return Selector(tuple(terms))


def is_label_key(text: str) -> bool:
    """Tell whether `text` can be the key of a label (KEY_RULE)."""
    return len(text) <= limits.LABEL_BYTES_MAX and _KEY.fullmatch(text) is not None


def is_label_value(text: str) -> bool:
    """Tell whether `text` can be the value of a label (VALUE_RULE); empty is a label that is just there."""
    return len(text) <= limits.LABEL_BYTES_MAX and _VALUE.fullmatch(text) is not None


def parse_label(text: str) -> tuple[str, str]:
    """Return (key, value) of `key=value` or `key`. Raises BadSelector."""
    key, _, value = text.partition("=")
    if not is_label_key(key):
        raise BadSelector(f'"{text[:80]}": the key of a label is {KEY_RULE}', 0)
    if not is_label_value(value):
        raise BadSelector(f'"{text[:80]}": the value of a label is {VALUE_RULE}', len(key) + 1)
    return key, value


def _term(text: str, part: str, at: int) -> Term:
    term = _read_term(part)
    if not _is_good(term):
        raise BadSelector(_hint(text, part), at)
    return term


def _is_good(term: Term) -> bool:
    return term.op is Op.ANY or (is_label_key(term.key) and is_label_value(term.value))


def _read_term(part: str) -> Term:
    if part == "*":
        return Term(Op.ANY)
    if part.startswith("!"):
        return Term(Op.LACKS, part[1:].strip())
    for op in (Op.DIFFERS, Op.EQUALS):
        key, found, value = part.partition(op.value)
        if found:
            return Term(op, key.strip(), (value.removeprefix("=") if op is Op.EQUALS else value).strip())
    return Term(Op.HAS, part)


def _hint(text: str, part: str) -> str:
    mended = re.sub(r"\s*(?:\band\b|&&|;)\s*", ",", text.strip()) if part else re.sub(r",[\s,]*", ",", text).strip(", ")
    mended = re.sub(r"\s*(!?=)=?\s*", r"\1", mended)
    if mended != text and all(_is_good(_read_term(term)) for term in mended.split(",")):
        return f'"{text[:80]}": write "{mended}"'
    return f'"{text[:80]}": "{part}" is no term; write key=value, key!=value, key or !key, with commas between'

"""One document that a hub above asks of this one: the newest that came, and the last that could be followed."""

from __future__ import annotations

import msgspec

from protocol import documents, limits
from protocol.errors import RemoteProtocolError

PREFIX = "delegation/"
"""Of the ids under which a manifest lists these documents."""


class Given(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document from above: the newest, and why it is not followed, if it is not; `since_ms` is this hub's time."""

    document: documents.Delegation
    since_ms: int
    refused: str = ""
    good: documents.Delegation | None = None
    """The last one that could be followed, if the newest cannot."""

    @property
    def key(self) -> str:
        """`service/NAME`, `workflow/NAME` or `policy/NAME`."""
        return f"{self.document.kind}/{self.document.name}"


def read(key: str, raw: bytes) -> documents.Delegation:
    """Return the document in `raw`; what cannot be read as that of `key` has no owner."""
    try:
        document = documents.decode(raw)
    except RemoteProtocolError:
        document = None
    if isinstance(document, documents.Delegation) and f"{document.kind}/{document.name}" == key:
        return document
    kind, _, name = key.partition("/")
    return documents.Delegation(kind=kind, name=name, generation=0, owner="", spec=msgspec.Raw(b"null"))


def version(spec: msgspec.Raw) -> msgspec.Raw | str:
    """Return a document for the record, as far as an entry holds it: both sides of a change stand there (B)."""
    size = len(bytes(spec))
    return spec if size <= limits.VERSION_BYTES_MAX else f"{size} bytes: too large for an entry"

"""What the parent asks, decoded: each document once, when it changes.

A document that cannot be understood is set aside and shown (A21); the others go on, and what an earlier version of it
made runs on as it was: a mistake above never deletes anything here (A11).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from protocol import documents, ids, limits
from protocol.errors import BadId, RemoteProtocolError, SkerryError

D = TypeVar("D", bound=documents.Document)


class Doc(msgspec.Struct, frozen=True):
    """A document with the bytes it came as and the digest that names them."""

    raw: bytes
    digest: str
    document: documents.AnyDocument


class Desired:
    """The manifest as last received. `known` is False until a complete one was seen: until then nothing is deleted."""

    def __init__(self) -> None:
        self.known = False
        self.docs: dict[str, Doc] = {}
        self.bad: dict[str, str] = {}
        """Ids of documents that could not be understood, and why."""

    def update(self, items: dict[str, bytes]) -> None:
        """Take a complete manifest: document id -> bytes."""
        former, self.docs, self.bad, self.known = self.docs, {}, {}, True
        services = 0
        for key, raw in items.items():
            services += key.startswith("assignment/")
            if services > limits.SERVICES_MAX and key.startswith("assignment/"):
                self.bad[key] = f"a device runs at most {limits.SERVICES_MAX} services"
                continue
            held = former.get(key)
            if held is not None and held.raw == raw:
                self.docs[key] = held
                continue
            try:
                self.docs[key] = _read(key, raw)
            except SkerryError as error:
                self.bad[key] = str(error)

    def of(self, kind: type[D]) -> dict[str, tuple[Doc, D]]:
        """Return the documents of one kind by the name behind the slash of their id."""
        return {
            key.partition("/")[2]: (doc, doc.document)
            for key, doc in self.docs.items()
            if isinstance(doc.document, kind)
        }

    def lists(self, key: str) -> bool:
        """Tell whether the manifest names the document `key`, understood or not."""
        return key in self.docs or key in self.bad


def _read(key: str, raw: bytes) -> Doc:
    document = documents.decode(raw)
    named = documents.document_id(document)
    if named != key:
        raise RemoteProtocolError(f"the document listed as {key!r} calls itself {named!r}")
    if not ids.is_name(key.partition("/")[2]):
        raise BadId(f"{key[:80]!r} is no document id: write {ids.NAME_RULE} behind the slash")
    return Doc(raw, documents.digest_of(raw), document)

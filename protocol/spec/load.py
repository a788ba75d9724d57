"""From the operator's files to resources, or to all of their mistakes at once, each with its place.

`load` never raises on what the files hold. `from_json` reads back one canonical document (Resource.to_json).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from pydantic import ValidationError

from protocol import documents, ids, limits
from protocol.errors import BadId, SpecError
from protocol.spec import common, graph, quantities
from protocol.spec import compile as compiler
from protocol.spec.fleet.upgrade import Upgrade
from protocol.spec.mistakes import Finding, Mistake, path_text, suggestion
from protocol.spec.policy import Policy
from protocol.spec.reading import tree, words
from protocol.spec.reading.values import Source, Tree
from protocol.spec.service import Service
from protocol.spec.workflow import Workflow

__all__ = ["AnyResource", "Loaded", "Mistake", "Source", "from_json", "load"]

AnyResource = Service | Workflow | Policy | Upgrade
KINDS: dict[str, type[AnyResource]] = {
    "Service": Service,
    "Workflow": Workflow,
    "Policy": Policy,
    "Upgrade": Upgrade,
}


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What the files hold. With any mistake, nothing is to be applied."""

    documents: list[AnyResource]
    files: list[str]
    """For each document, the name of its source."""
    mistakes: list[Mistake]
    """In the order of the files, at most limits.MISTAKES_MAX."""


def load(sources: Sequence[Source], artifacts: Mapping[str, str] | None = None, *, is_local: bool = False) -> Loaded:
    """Read every document of `sources`. Never raises on bad input.

    `artifacts` maps a folder, as it is written in the files (or `FILE:FOLDER` where two files mean different ones), to
    the digest of its packed bytes; with it, every artifact must be there and the documents come out with digests.
    `is_local`: what is read is for the device where it is read, and needs not say where it is placed.
    """
    size = sum(len(source.text.encode(errors="replace")) for source in sources)
    if size > limits.SPEC_BYTES_MAX:
        text = f"{size} bytes in all: at most {limits.SPEC_BYTES_MAX} at a time; apply fewer files at once"
        first = sources[0].name
        return Loaded(documents=[], files=[], mistakes=[Mistake(file=first, line=1, column=1, path="", text=text)])
    reader = _Reader(artifacts, is_local)
    for source in sources:
        reader.read(source)
    return Loaded(documents=reader.documents, files=reader.files, mistakes=reader.mistakes[: limits.MISTAKES_MAX])


def from_json(value: Mapping[str, Any]) -> AnyResource:
    """Return the resource of one canonical document. Raises SpecError, which names the first mistake."""
    findings = list(_findings(value))
    if findings:
        raise SpecError(f"{path_text(findings[0].path)}: {findings[0].text}")
    return KINDS[value["kind"]].model_validate(value)


class _Reader:
    def __init__(self, artifacts: Mapping[str, str] | None, is_local: bool) -> None:
        self._is_local = is_local
        self.documents: list[AnyResource] = []
        self.files: list[str] = []
        self.mistakes: list[Mistake] = []
        self._artifacts = artifacts
        self._seen: dict[tuple[str, str], str] = {}
        self._count = 0

    def read(self, source: Source) -> None:
        before = self._count, len(self.mistakes)
        for found in tree.read(source):
            if isinstance(found, Mistake):
                self.mistakes.append(found)
                continue
            self._count += 1
            if self._count > limits.SPEC_DOCUMENTS_MAX:
                self.mistakes.append(found.mistake((), f"more than {limits.SPEC_DOCUMENTS_MAX} documents at once"))
                return
            self._document(found)
            if len(self.mistakes) >= limits.MISTAKES_MAX:
                return
        if before == (self._count, len(self.mistakes)):
            self.mistakes.append(
                Mistake(file=source.name, line=1, column=1, path="", text="there is no document in this file")
            )

    def _document(self, found: Tree) -> None:
        bound, unbound = self._bind(found)
        bound = _anywhere(bound) if self._is_local else bound
        mistakes = [*found.mistakes, *(_placed(found, finding) for finding in (*_findings(bound), *unbound))]
        if not mistakes:
            resource = KINDS[bound["kind"]].model_validate(bound)
            mistakes = [found.mistake((), finding) for finding in self._whole(found, resource)]
            self.documents.append(resource)
            self.files.append(found.file)
        self.mistakes += sorted(set(mistakes), key=lambda mistake: (mistake.line, mistake.column, mistake.path))

    def _whole(self, found: Tree, resource: AnyResource) -> Iterator[str]:
        place = f"{found.file}:{found.values[()][0]}"
        former = self._seen.setdefault((resource.kind, resource.name), place)
        if former != place:
            yield f"{resource.kind} {resource.name} is declared twice, first at {former}: keep one, or rename one"
        made = compiler.document(resource)
        size = len(documents.encode(made)) if made is not None else 0
        if size > limits.DOCUMENT_BYTES_MAX:
            bound = f"at most {limits.DOCUMENT_BYTES_MAX} cross a link: put large files into its artifact"
            yield f"{resource.kind} {resource.name} takes {size} bytes, {bound}"

    def _bind(self, found: Tree) -> tuple[Any, list[Finding]]:
        """Return the tree with its artifact, or its packages, as digests, where digests were given."""
        value: Any = found.value
        spec = _mapping(_mapping(value).get("spec"))
        if self._artifacts is None:
            return value, []
        unbound: list[Finding] = []
        bound = dict[str, Any]()
        if "artifact" in spec:
            bound["artifact"] = self._bound(found, spec["artifact"], ("spec", "artifact"), unbound)
        if isinstance(packages := spec.get("packages"), list):
            named = enumerate(cast("list[Any]", packages))
            bound["packages"] = [self._bound(found, one, ("spec", "packages", at), unbound) for at, one in named]
        return (_mapping(value) | {"spec": spec | bound} if bound else value), unbound

    def _bound(self, found: Tree, written: Any, path: tuple[str | int, ...], unbound: list[Finding]) -> Any:
        """Return what `written` names, as it was read; it, and a finding, when it did not come along."""
        if self._artifacts is None or not isinstance(written, str) or _is_digest(written.rpartition("@")[2]):
            return written
        digest = self._artifacts.get(f"{found.file}:{written}", self._artifacts.get(written))
        if digest is None:
            text = f'the artifact "{written[:80]}" did not come along: apply with the skerry command, which packs it'
            unbound.append(Finding(path, text))
        return digest or written


def _findings(value: object) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield Finding((), f"a document is a mapping with apiVersion, kind, metadata and spec; this is {words.a(value)}")
        return
    found = cast("dict[str, Any]", value)
    kind = found.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        yield _kind_finding(kind)
        return
    try:
        model.model_validate(found)
    except ValidationError as error:
        yield from words.findings(error, model)
    if found.get("apiVersion") is None:
        yield Finding(("apiVersion",), f'"apiVersion" is missing: write apiVersion: {common.API_VERSION}')
    if model is Workflow:
        yield from graph.check(found)


def _kind_finding(kind: object) -> Finding:
    if kind is None:
        return Finding(("kind",), f'"kind" is missing: write one of {", ".join(KINDS)}')
    return Finding(("kind",), f"{quantities.shown(kind)} is no kind of document{suggestion(str(kind), KINDS)}")


def _placed(found: Tree, finding: Finding) -> Mistake:
    return found.mistake(finding.path, finding.text, at_key=finding.at_key)


def _anywhere(value: Any) -> Any:
    """Return a document that is placed where it is read, if it does not say where."""
    spec = _mapping(value).get("spec")
    if not isinstance(spec, dict) or "placement" in spec or value.get("kind") not in ("Service", "Workflow"):
        return value
    return value | {"spec": {**cast("dict[str, Any]", spec), "placement": {"selector": "*"}}}


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _is_digest(text: str) -> bool:
    try:
        ids.digest(text)
    except BadId:
        return False
    return True

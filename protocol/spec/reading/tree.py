"""YAML (and so JSON) as plain values, each with the line and column where it stands.

A document may hold anything; only its text is trusted. So: the core schema only (no tags that make objects), a bound on
depth and on the number of values (an alias counts each time it is used), and the text of every number is kept, because
`1.10` in an environment is not `1.1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from protocol import limits
from protocol.spec.mistakes import Mistake, Path, path_text
from protocol.spec.reading.values import Float, Int, Source, Tree

_DEPTH_MAX = 2 * limits.SPEC_DEPTH_MAX  # the work for what nests deeper grows with the square of that


class _TooMuch(Exception):
    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.node = node


def read(source: Source) -> Iterator[Tree | Mistake]:
    """Yield each document of `source`; a text that is no YAML ends it with a Mistake. Empty documents are left out."""
    yaml: Any = YAML(typ="safe", pure=True)  # its hints leave the nodes unknown
    yaml.max_depth = _DEPTH_MAX
    try:
        nodes: Iterator[Node | None] = yaml.compose_all(source.text)
        for node in nodes:
            if node is not None and not _is_null(node):
                yield _tree(source, node)
    except (YAMLError, RecursionError, ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
        yield _broken(source, error)


def _tree(source: Source, node: Node) -> Tree | Mistake:
    tree = Tree(source.name, _line(node))
    try:
        tree.value = _Builder(tree).build(node, ())
    except _TooMuch as error:
        return Mistake(file=source.name, line=_line(error.node), column=_column(error.node), path="", text=str(error))
    return tree


class _Builder:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._count = 0

    def build(self, node: Node, path: Path) -> object:
        self._count += 1
        if self._count > limits.SPEC_VALUES_MAX:
            raise _TooMuch(node, f"more than {limits.SPEC_VALUES_MAX} values in one document: split it")
        if len(path) > limits.SPEC_DEPTH_MAX:
            raise _TooMuch(node, f"nested more than {limits.SPEC_DEPTH_MAX} deep")
        self._tree.values[path] = (_line(node), _column(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            items = cast("list[Node]", node.value)
            return [self.build(item, (*path, at)) for at, item in enumerate(items)]
        return self._scalar(cast("ScalarNode", node), path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in cast("list[tuple[Node, Node]]", node.value):
            key = str(cast("Any", key_node).value) if isinstance(key_node, ScalarNode) else ""
            inner = (*path, key)
            place = (_line(key_node), _column(key_node))
            if not isinstance(key_node, ScalarNode):
                self._note(place, path, "a key is one word, not a list or a mapping")
                continue
            if key in found:
                first = self._tree.keys[inner][0]
                self._note(place, inner, f'"{key[:80]}" stands twice, first in line {first}: keep one')
                continue
            self._tree.keys[inner] = place
            found[key] = self.build(value_node, inner)
        return found

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        text = str(cast("Any", node).value)
        tag = _tag(node)
        try:
            match tag:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return _written(Int(int(text.replace("_", ""), 0 if text.lstrip("+-0")[:1] in "xob" else 10)), text)
                case "float":
                    return _written(Float(text.lower().replace(".inf", "inf").replace(".nan", "nan")), text)
                case "str" | "timestamp" | "merge" | "value":
                    return text
                case _:
                    self._note(
                        (_line(node), _column(node)), path, f"the tag {tag[:80]} is not known here: leave it out"
                    )
        except ValueError:
            self._note((_line(node), _column(node)), path, f'"{text[:80]}" is no number')
        return text

    def _note(self, place: tuple[int, int], path: Path, text: str) -> None:
        tree = self._tree
        tree.mistakes.append(Mistake(file=tree.file, line=place[0], column=place[1], path=path_text(path), text=text))


def _written(number: Int | Float, text: str) -> Int | Float:
    number.text = text
    return number


def _tag(node: Node) -> str:
    return str(cast("Any", node).tag).removeprefix("tag:yaml.org,2002:")


def _is_null(node: Node) -> bool:
    return _tag(node) == "null" and not cast("Any", node).value


def _broken(source: Source, error: Exception) -> Mistake:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    what = getattr(error, "problem", None) or str(error).partition("\n")[0]
    what = "nested too deep" if isinstance(error, MaxDepthExceededError | RecursionError) else what
    return Mistake(file=source.name, line=line, column=column, path="", text=f"this is no YAML: {what}")


def _line(node: Node) -> int:
    return int(cast("Any", node).start_mark.line) + 1


def _column(node: Node) -> int:
    return int(cast("Any", node).start_mark.column) + 1

"""The README never lies: each command it names exists."""

import re

from tests.tidy import house


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (house.ROOT / "Makefile").read_text(), re.M))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"`make ([a-z-]+)", (house.ROOT / document).read_text()))
        assert named, document
        assert named <= targets, document


def test_every_file_in_the_readings_order_exists() -> None:
    text = (house.ROOT / "README.md").read_text()
    named = [path for path in re.findall(r"`([a-z_]+/[\w./-]+)`", text) if "*" not in path]
    assert named
    assert not [path for path in named if not (house.ROOT / path).exists()]


def test_every_figure_of_the_readme_is_measured() -> None:
    sources = "".join(path.read_text() for path in house.modules("tests") if path.parent.name == "bench")
    keys = set(re.findall(r'^@figure\(\s*"(\w+)"', sources, re.M))
    table = (house.ROOT / "README.md").read_text().partition("## Measured")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", "".join(line.rpartition(" | ")[2] for line in table.splitlines())))
    assert named
    assert named <= keys
    begun = re.findall(r"`make bench ONLY=(\w+)`", table)
    assert not [only for only in begun if not any(key.startswith(only) for key in keys)]

"""Manners of the repository: what it never holds, and what it never says."""

import functools
import re

from protocol import limits
from tests.tidy import house

TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".sql", ".sh", ".conf", ".txt", ".json", ""}
_OWN = "tests/tidy/test_manners.py"


@functools.cache
def _texts() -> dict[str, str]:
    return {
        house.place(path): path.read_text(errors="replace")
        for path in house.files()
        if path.suffix in TEXT and house.place(path) not in (_OWN, "LICENSE", "requirements.lock")
    }


def test_packaging_and_config_are_no_python_packages() -> None:
    inits = [house.place(path) for path in house.files() if path.name == "__init__.py"]
    assert not [place for place in inits if place.startswith(("packaging/", "config/"))]


def test_no_path_of_a_developers_machine_and_no_word_of_its_tools() -> None:
    forbidden = re.compile(r"/work/|/tmp/w/|/root/|\b(?:claude|chatgpt|copilot|llm|language model)\b")
    words = ("/work/", "/tmp/w/", "/root/", "claude", "chatgpt", "copilot", "llm", "language model")
    texts = ((place, text.lower()) for place, text in _texts().items())
    near = {place: text for place, text in texts if any(word in text for word in words)}  # as quick as reading
    found = {place: match.group() for place, text in near.items() if (match := forbidden.search(text))}
    assert not found


def test_tests_never_sleep_to_synchronise() -> None:
    sleeping = re.compile(r"\b(?:time|asyncio)\.sleep\((?!0\))")
    allowed = re.compile(r"#\s*(bounded poll|paces)")
    found = [
        f"{place}:{number}"
        for place, text in _texts().items()
        if place.startswith("tests/") and place.endswith(".py") and not place.startswith("tests/bench/")
        for number, line in enumerate(text.splitlines(), 1)
        if sleeping.search(line) and not allowed.search(line)
    ]
    assert not found, "wait for a condition (tests.support.wait), or mark the line of a bounded poll"


def test_every_module_says_what_it_is() -> None:
    first = re.compile(r'(?:\s*#[^\n]*\n)*\s*r?"""\s*[^\s"]')  # of 800 files: to parse them takes seconds
    texts = {house.place(path): path.read_text() for path in house.modules(*house.ROOMS, "tests")}
    assert not [place for place, text in texts.items() if text.strip() and not first.match(text)]


def test_every_public_class_and_function_states_its_contract() -> None:
    silent = [(path, *one) for path in house.modules() for one in house.silent(path)]
    assert not [f"{house.place(path)}:{line} {name}" for path, name, line in silent]


def test_every_limit_is_used() -> None:
    texts = (path.read_text() for path in house.modules() if path.name != "limits.py")
    used = {word for text in texts for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", text)}
    own = set(re.findall(r"[*=(].*?\b([A-Z][A-Z0-9_]+)\b", (house.ROOT / "protocol/limits.py").read_text()))
    assert not {name for name in vars(limits) if name.isupper()} - used - own


def test_no_type_check_is_switched_off_without_a_reason() -> None:
    bare = re.compile(r"#\s*(?:type: ignore|pyright: ignore|noqa)(?!\[|:)")
    assert not [place for place, text in _texts().items() if place.endswith(".py") and bare.search(text)]


def test_every_link_in_the_documents_leads_somewhere() -> None:
    link = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
    links = [(place, to) for place, text in _texts().items() if place.endswith(".md") for to in link.findall(text)]
    assert links
    assert not [
        f"{place}: {to}" for place, to in links if "://" not in to and not ((house.ROOT / place).parent / to).exists()
    ]

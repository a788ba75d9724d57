"""The house's sizes: aims that are watched, with numbers that only fall (`make ratchet` writes them down)."""

import json
from pathlib import Path

from tests.tidy import house

RATCHET = Path(__file__).parent / "ratchet.json"
MODULE_LINES_AIM = 150
FUNCTION_LINES_AIM = 30


def measure() -> dict[str, int]:
    """Return how many modules and functions are over the aims."""
    modules = house.modules()
    return {
        "modules_over_150_lines": sum(house.lines(path) > MODULE_LINES_AIM for path in modules),
        "functions_over_30_lines": sum(len(house.functions(path, FUNCTION_LINES_AIM)) for path in modules),
    }


def written() -> dict[str, int]:
    """Return the numbers that were written down last."""
    return json.loads(RATCHET.read_text())


if __name__ == "__main__":
    RATCHET.write_text(json.dumps(measure(), indent=2) + "\n")

"""`skerry-agent`: finds the command's module and loads no more than it needs.

The daemon (`run`) must stay small and `emit` must start fast inside workloads, so both are reached without Typer and
Rich; all others, and every `--help`, go through edge_agent.cli.commands.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command in sys.argv."""
    words = sys.argv[1:]
    helping = "--help" in words or "-h" in words
    if words[:1] == ["emit"] and not helping:
        from edge_agent.cli import emit

        sys.exit(emit.main(words[1:]))
    if words[:1] == ["run"] and not helping:
        from edge_agent.cli import run

        sys.exit(run.main(words[1:]))
    from edge_agent.cli import commands

    commands.main()

"""Who asks an agent that ends meanwhile gets one clear sentence."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_agent.cli import client


@pytest.mark.parametrize("heard", [0, 1], ids=["nothing", "a byte"])
def test_an_agent_that_breaks_off_before_it_answers_is_away(tmp_path: Path, heard: int) -> None:
    with socket.socket(socket.AF_UNIX) as door, ThreadPoolExecutor(1) as pool:
        door.bind(str(tmp_path / "control.sock"))
        door.listen()

        def break_off() -> None:
            guest, _ = door.accept()
            guest.recv(1, socket.MSG_PEEK)
            guest.recv(heard)
            guest.close()  # with the rest unread: the other side hears of a reset

        broken_off = pool.submit(break_off)
        with pytest.raises(client.Away, match="the agent stopped before it answered: see skerry-agent doctor"):
            client.ask(tmp_path, {"do": "status"})
        broken_off.result()

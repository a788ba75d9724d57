"""The desk: each request gets its own answer, each listener its word, and nobody waits for ever."""

import asyncio

import pytest

from hub.core import inputs
from hub.shell.desk import Desk, Failed
from protocol import limits


class Core:
    """Stands where the driver stands: keeps what was put."""

    def __init__(self) -> None:
        self.heard: list[inputs.Request] = []
        self.desk = Desk(self.put, self.room)

    def put(self, event: inputs.Input) -> None:
        assert isinstance(event, inputs.Request)
        self.heard.append(event)

    async def room(self) -> None:
        return


OP = inputs.DrainNode(node="gw-1")


async def asked(core: Core) -> asyncio.Task[bytes]:
    task = asyncio.create_task(core.desk.ask("token:ann", OP))
    before = len(core.heard)
    while len(core.heard) == before:
        await asyncio.sleep(0)
    return task


async def test_each_request_gets_its_own_answer():
    core = Core()
    first, second = await asked(core), await asked(core)
    assert [(one.who, one.op) for one in core.heard] == [("token:ann", OP)] * 2
    core.desk.reply(inputs.Reply(request=core.heard[1].request, data=b"2"))
    core.desk.reply(inputs.Reply(request=core.heard[0].request, data=b"1"))
    assert (await first, await second) == (b"1", b"2")


async def test_a_refusal_says_why_and_with_which_status():
    core = Core()
    waiting = await asked(core)
    core.desk.reply(inputs.Reply(request=core.heard[0].request, error="no such node", status=404))
    with pytest.raises(Failed, match="no such node") as raised:
        await waiting
    assert raised.value.status == 404


async def test_an_answer_that_nobody_waits_for_is_dropped():
    core = Core()
    core.desk.reply(inputs.Reply(request=7))
    core.desk.answered(inputs.Answered(ask="gone", part=0, last=True))
    waiting = await asked(core)
    core.desk.reply(inputs.Reply(request=core.heard[0].request, data=b"1"))
    core.desk.reply(inputs.Reply(request=core.heard[0].request, data=b"2"))
    assert await waiting == b"1"


async def test_a_core_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "REQUEST_WAIT_S", 0.01)
    with pytest.raises(Failed, match="did not answer within") as raised:
        await Core().desk.ask("token:ann", OP)
    assert raised.value.status == 504


async def test_when_the_store_fails_every_request_hears_of_it():
    core = Core()
    waiting = await asked(core)
    core.desk.fail("the disk is full")
    for request in (waiting, core.desk.ask("token:ann", OP)):
        with pytest.raises(Failed, match="the disk is full"):
            await request
    core.desk.healed()
    again = await asked(core)
    core.desk.reply(inputs.Reply(request=core.heard[-1].request, data=b"1"))
    assert await again == b"1"


async def test_a_listener_hears_each_topic_under_its_prefix_once():
    desk = Core().desk
    with desk.watch("task/", "node/gw-1") as word:
        for topic in ("task/b", "task/a", "task/b", "node/gw-2", "run/1"):
            desk.notify(inputs.Notify(topic=topic))
        assert await word.heard() == ["task/b", "task/a"]
        assert await word.heard(0.001) == []


async def test_a_listener_that_is_far_behind_is_told_to_look_at_everything():
    desk = Core().desk
    with desk.watch("") as word:
        for number in range(1_500):
            desk.notify(inputs.Notify(topic=f"run/{number}"))
        assert "" in (await word.heard() or [])


async def test_there_is_a_bound_on_listeners(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "WATCHERS_MAX", 1)
    desk = Core().desk
    with desk.watch(""), pytest.raises(Failed, match="close some"), desk.watch(""):
        pass
    with desk.watch(""):
        pass


async def test_a_question_yields_its_parts_until_the_last():
    core = Core()
    op = inputs.AskNode(id="q1", node="gw-1", what="logs")

    async def ask() -> list[bytes]:
        return [part.data async for part in core.desk.question("token:ann", op)]

    waiting = asyncio.create_task(ask())
    while not core.heard:
        await asyncio.sleep(0)
    core.desk.answered(inputs.Answered(ask="q1", part=0, last=False, data=b"0"))
    core.desk.reply(inputs.Reply(request=core.heard[0].request))
    core.desk.answered(inputs.Answered(ask="q1", part=1, last=True, data=b"1"))
    assert await waiting == [b"0", b"1"]


async def test_a_question_that_is_never_answered_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "ASK_WAIT_S", 0.0)
    core = Core()
    op = inputs.AskNode(id="q1", node="gw-1", what="logs", wait_s=0.01)

    async def ask() -> list[inputs.Answered]:
        return [part async for part in core.desk.question("token:ann", op)]

    waiting = asyncio.create_task(ask())
    while not core.heard:
        await asyncio.sleep(0)
    core.desk.reply(inputs.Reply(request=core.heard[0].request))
    with pytest.raises(Failed, match="gw-1 did not answer"):
        await waiting


async def test_a_hub_that_stops_lets_everybody_go():
    core = Core()
    waiting = await asked(core)
    with core.desk.watch("") as word:
        core.desk.close()
        assert await word.heard() is None
    with core.desk.watch("") as late:
        assert await late.heard() is None
    for request in (waiting, core.desk.ask("token:ann", OP)):
        with pytest.raises(Failed, match="stopping"):
            await request


async def test_an_answer_that_comes_faster_than_it_is_read_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "ANSWER_PARTS_WAITING_MAX", 3)
    core = Core()
    parts = core.desk.question("token:ann", inputs.AskNode(id="q1", node="gw-1", what="logs"))
    first = asyncio.ensure_future(anext(parts))
    while not core.heard:
        await asyncio.sleep(0)
    core.desk.reply(inputs.Reply(request=core.heard[0].request))
    for number in range(100):
        core.desk.answered(inputs.Answered(ask="q1", part=number, last=False))
    said = [await first] + [part async for part in parts]
    assert [part.part for part in said] == [0, 1, 2, 3]
    assert "cut off" in said[-1].error

"""What people see of the agent's answers. Each function takes the answer as it came."""

from __future__ import annotations

from typing import Any

from edge_agent.cli import human, view
from edge_agent.cli.options import Output
from edge_agent.cli.person import rows
from protocol.doctor import words

Json = dict[str, Any]


def status(answer: Json, form: Output = Output.table) -> None:
    """Print the link's sentence, the services, the workflows, and what is wrong."""
    now = answer["now_ms"]
    view.say(f"{answer['node']}   {link(answer)}")
    if form is Output.wide:
        view.say(wanted(answer))
    if answer["hold"] is not None:
        view.say(held(answer["hold"], now), "yellow")
    if answer["upgrade"] is not None and answer["upgrade"]["state"] in ("fetching", "asked", "trying"):
        view.say(upgrading(answer["upgrade"]), "yellow")
    services(answer, form)
    if answer["workflows"]:
        view.table(rows.WORKFLOWS, rows.workflows(answer), form)
    for stream, count in sorted(answer["lost"].items()):
        view.say(f"{count:,} entries of {stream} are lost and declared so{_gap(answer, stream, now)}", "yellow")
    for text in conditions(answer):
        view.say(text, "yellow")


def conditions(answer: Json) -> list[str]:
    """Return what a person should know, but for what the link's sentence says already."""
    found = [one for one in answer["conditions"] if one["text"] != answer["link"]["reason"]]
    return [f"{one['what']}: {one['text']}" for one in found]


def _gap(answer: Json, stream: str, now: int) -> str:
    gap = answer["gaps"].get(stream)
    if gap is None:
        return ""
    quota = answer["quota"][stream]
    held = f"{words.size(quota['bytes'])} here, {words.size(quota['share'])} are its share"
    range_ = f"from number {gap['first']:,} to {gap['last']:,}, {human.clock(gap['declared_ms'], now)}"
    return f"; the newest gap goes {range_} ({gap['reason']}; {held})"


def link(answer: Json) -> str:
    """Return the sentence on the link: since when, why, and what waits."""
    link, now = answer["link"], answer["now_ms"]
    count = sum(one["rows"] for one in answer["backlog"].values())
    size = sum(one["bytes"] for one in answer["backlog"].values())
    waits = human.plural(count, "entry waits to sync", "entries wait to sync")
    waiting = f"{waits} ({words.size(size)})" if count else "all entries are synced"
    age = human.since(link["since_ms"], now)
    if link["state"] == "live":
        return f"online for {age} (hub {link['parent']}{_metered(link, now)}); {waiting}"
    if link["state"] == "refused":
        return f"{link['reason']}; {waiting}"
    reason = f" ({human.plain(link['reason'])})" if link["reason"] else ""
    retry_s = link.get("retry_s")
    retry = "" if retry_s is None else f" Next try in {words.duration(max(1, round(retry_s)))}."
    return f"offline for {age}{reason}. Everything here keeps running; {waiting}.{retry}"


def _metered(link: Json, now: int) -> str:
    every_s, last = link.get("metered_s"), human.since(link["last_contact_ms"], now)
    return f"; metered: a contact every {words.duration(every_s)}, the last {last} ago" if every_s else ""


def wanted(answer: Json) -> str:
    """Return the sentence on what the hub wants: which generation, and since when it is here."""
    held, link = answer["link"]["held"], answer["link"]
    if not link["received_ms"]:
        return "nothing has come from the hub yet"
    term = f"term {held['term']}, " if held["term"] > 1 else ""
    received = human.clock(link["received_ms"], answer["now_ms"])
    heard = human.clock(link["last_contact_ms"], answer["now_ms"])
    return f"the hub wants {term}generation {held['generation']}, received {received}; it was last heard {heard}"


def upgrading(upgrade: Json) -> str:
    """Return the sentence on a version that is on its way."""
    did = {"fetching": "is being fetched", "asked": "is being put in place", "trying": "is on trial"}
    return f"the agent's version {upgrade['version']} {did[upgrade['state']]}; what runs here goes on"


def held(hold: Json, now: int) -> str:
    """Return the sentence on a hold: by whom, until when, why, and what waits."""
    until = f"until {human.clock(hold['until_ms'], now)}" if hold.get("until_ms") else "until released"
    reason, count = f'; "{hold["reason"]}"' if hold.get("reason") else "", hold.get("waiting", 0)
    waits = human.plural(count, "change waits", "changes wait") if count else "No change waits yet"
    by = f"updates held here by {hold['user']} since {human.clock(hold['since_ms'], now)}, {until}{reason}"
    return f"{by}. {waits}; to let them come: skerry-agent unhold"


def services(answer: Json, form: Output) -> None:
    """Print the table of services."""
    if answer["services"]:
        wide = form is Output.wide
        view.table(rows.SERVICES + rows.SERVICES_WIDE * wide, rows.services(answer, wide=wide), form)
    else:
        view.say("no services here yet")


def runs(answer: list[Json], now: int, form: Output) -> None:
    """Print the runs, the newest first."""
    if answer:
        view.table(rows.RUNS, rows.runs(answer, now), form)
    else:
        view.say("no runs here yet: skerry-agent workflow start NAME")


def why(answer: Json, now: int, option: str = "") -> None:
    """Print the chain of reasons, nearest first; `option` goes on with the command that would change it."""
    override: Json = answer["report"].get("override") or {}
    times: zip[tuple[str, int]] = zip(answer["reasons"], answer["at_ms"], strict=False)
    reasons = [_reason(text, at_ms, override.get("until_ms", 0), now) for text, at_ms in times]
    first, *rest = reasons or ["nothing is known of it"]
    view.say(f"{rows.SPOKEN.get(answer['state'], answer['state'])}, because {first}.")
    for reason in rest:
        view.say(f"{reason[:1].upper()}{reason[1:]}.")
    if answer.get("retry_s") is not None:
        view.say(f"It starts again by itself in {words.duration(max(1, round(answer['retry_s'])))}.")
    if answer["next"]:
        view.say(f"{'Release it' if ' release ' in answer['next'] else 'Next'}:  {answer['next']}{option}")


def _reason(text: str, at_ms: int, until_ms: int, now: int) -> str:
    """Return one reason with the times that the agent's core leaves to us, who know the local time."""
    text = human.plain(text).replace("until its life is over", f"until {human.clock(until_ms, now)}")
    word = "at" if text.startswith("its last exit") or " it here" in text else "since"
    return f"{text} ({word} {human.clock(at_ms, now)})" if at_ms else text


def decided(answer: Json, now: int) -> None:
    """Print what the agent says of a decision."""
    until_ms = answer.get("until_ms", 0)
    view.say(str(answer["text"]).replace("until the time you gave", f"until {human.clock(until_ms, now)}"))

"""`skerry`: the operator's command. Here are the commands and the exit codes; each noun has its own module.

Exit codes: 0 done, 1 the thing asked for failed, 2 usage, 3 hub unreachable. Nothing heavy is imported before it is
used, so that help and completion are quick.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli import apply, client, describe, events, get, node, options, sources, tasks
from hub.cli.carrying import sticks
from hub.cli.doctor import command as doctor
from hub.cli.listing import answered
from hub.cli.overriding import release
from hub.cli.upgrading import command as upgrading
from hub.cli.view import examples, output
from protocol.errors import SkerryError, TooLarge

if TYPE_CHECKING:
    from hub.shell.init import Made

HELP = """Run work on far-flung devices that keep working when their link does not."""

EXAMPLES = """\b
Examples:
  skerry token create --label site=oslo --uses 20    invite twenty devices
  skerry apply -f line.yaml --wait                   declare what runs where, and watch it come true
  skerry get nodes -l site=oslo                      who is there, and what each last said
  skerry run -l site=oslo -- df -h /                 one command on many devices
  skerry logs line-vision -f                         what a service prints, as it prints it"""

app = typer.Typer(
    help=HELP,
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
hub = typer.Typer(help="Make a hub, serve it, upgrade it.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(hub, name="hub")
hub.command("upgrade", epilog=examples.HUB_UPGRADE)(upgrading.upgrade)
app.add_typer(node.tokens, name="token")
app.command("apply", epilog=examples.APPLY)(apply.apply)
app.command("diff", epilog=examples.DIFF)(apply.diff)
app.command("delete", epilog=examples.DELETE)(apply.delete)
app.command("release", epilog=examples.RELEASE)(release.release)
app.command("get", epilog=examples.GET)(get.get)
app.command("describe", epilog=examples.DESCRIBE)(describe.describe)
AS_IT_IS = {"ignore_unknown_options": True, "allow_interspersed_args": False}
app.command("run", epilog=examples.RUN, context_settings=AS_IT_IS)(tasks.run)
app.add_typer(tasks.workflows, name="workflow")
app.command("events", epilog=examples.EVENTS)(events.events)
app.command("logs", epilog=examples.LOGS)(events.logs)
app.add_typer(node.nodes, name="node")
app.add_typer(sticks.bundles, name="bundle")
app.command("import", epilog=examples.IMPORT, hidden=True)(sticks.take)  # listed as `bundle import`, too
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"skerry {version('skerry')}")
        raise typer.Exit


@app.callback()
def skerry(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version)] = False,
) -> None:
    """Take the options that come before a command."""


@hub.command(epilog=examples.INIT)
def init(
    name: Annotated[str, typer.Option("--name", help="The hub's name; its devices will know it by this.")],
    data: Annotated[Path | None, typer.Option("--data", help="Where it keeps everything; empty or not there.")] = None,
    mqtt: Annotated[str, typer.Option("--mqtt", metavar="HOST:PORT", help="Where children connect.")] = "0.0.0.0:8883",
    api: Annotated[str, typer.Option("--api", metavar="HOST:PORT", help="Where the API listens.")] = "0.0.0.0:8443",
    broker: Annotated[str, typer.Option("--broker", metavar="URL", help="Go through this broker instead.")] = "",
    parent: Annotated[str, typer.Option("--parent", metavar="URL", help="The API of the hub above this one.")] = "",
    token: Annotated[
        str,
        typer.Option(
            "--token", help="The parent's: `skerry token create --hub`; `-` reads stdin.", envvar="SKERRY_TOKEN"
        ),
    ] = "",
) -> None:
    """Make a hub: its own CA, an operator's token for this user, an empty store.

    With --parent it becomes a region of the hub there: its CA is confined to what is below it, its operators are its
    own, and it goes on with everything while its parent is away.
    """
    import asyncio

    from hub.shell import init as shell

    folder = data or shell.default_folder()
    told = sys.stdin.readline().strip() if parent and token in ("", "-") and not sys.stdin.isatty() else token
    making = shell.init(folder, name=name, mqtt=mqtt, api=api, broker=broker, parent=parent, token=told)
    made = asyncio.run(making)
    _say_made(made, f" --data {folder}" if data is not None else "")


def _say_made(made: Made, option: str) -> None:
    output.say(f"Made a hub in {made.folder}: its own CA, an operator's token for this user, an empty store.")
    if made.hub.parent is not None:
        output.say(f"  its place           {'/'.join(made.path)}, below hub {made.hub.parent.id}")
    output.say(f"  MQTT for children   {made.hub.mqtt.host}:{made.hub.mqtt.port}  (mutual TLS)")
    output.say(f"  API and CLI         {made.hub.api.host}:{made.hub.api.port}")
    if made.former is not None:
        output.say(f"  the context of the former hub is kept in {made.former}")
    output.say(f"Next:  skerry hub serve{option}        (then: skerry token create)")


@hub.command(epilog=examples.BROKER)
def broker(
    out: Annotated[Path, typer.Option("--out", help="The folder to write for mosquitto -c.")],
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the broker will listen.")],
    data: Annotated[Path | None, typer.Option("--data", help="The folder that `hub init` made.")] = None,
) -> None:
    """Make what mosquitto needs to carry this fleet: configuration, ACL, a certificate of its own."""
    from hub.shell import init as shell
    from hub.shell.papers import broker_kit

    url = broker_kit.write(data or shell.default_folder(), out, listen)
    output.say(f"Wrote {out}. Next:  mosquitto -c {out}/mosquitto.conf, and skerry hub serve --broker '{url}'")


@hub.command(epilog=examples.SERVE)
def serve(
    data: Annotated[Path | None, typer.Option("--data", help="The folder that `hub init` made.")] = None,
    broker: Annotated[str, typer.Option("--broker", metavar="URL", help="Go through this MQTT broker.")] = "",
    mqtt: Annotated[str, typer.Option("--mqtt", metavar="HOST:PORT", help="Children connect here from now on.")] = "",
    api: Annotated[str, typer.Option("--api", metavar="HOST:PORT", help="The API listens here from now on.")] = "",
    announce: Annotated[
        bool | None,
        typer.Option("--announce/--no-announce", help="Say on the local network where it is.", show_default="yes"),
    ] = None,
) -> None:
    """Serve a hub until it is told to stop."""
    import asyncio

    from hub import app as served
    from hub.shell import init as shell

    folder = data or shell.default_folder()
    if mqtt or api:
        shell.move(folder, mqtt=mqtt, api=api)
    asyncio.run(served.serve(folder, broker or None, announced=announce))


@hub.command("accept-restore", epilog=examples.ACCEPT_RESTORE)
def accept_restore(
    reason: options.Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Go on with a hub that was restored from a backup, copied, or recovered from damage, having looked at it.

    Until then nothing new is sent to any device. Afterwards every device follows what this hub knows, whatever it was
    asked since the backup.
    """
    options.confirm("What was declared after the backup and is not declared again is taken away. Go on?", yes)
    with client.Client() as api:
        done = api.post("/v1/nodes/-/accept-restore", {"reason": reason})
    output.say(f"accepted: {done['nodes']} nodes follow this hub again, {done['ahead']} of them held more than it knew")


@app.command(epilog=examples.DEMO)
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it up at the end.")] = False,
    broker: Annotated[str, typer.Option("--broker", help="embedded, or mosquitto.")] = "embedded",
) -> None:
    """See it at work: a fleet on this machine, cut and healed."""
    import asyncio

    from hub.demo import play

    raise typer.Exit(asyncio.run(play.play(keep=keep, through=broker)))


@app.command(epilog=examples.SCHEMA)
def schema() -> None:
    """Print the JSON Schema of the documents, for editors."""
    from protocol.spec import schema as spec

    output.emit(spec.schema(), output.Format.JSON)


def main() -> None:
    """Run the command; say what went wrong in one sentence, and end with the code that tells what kind it was."""
    try:
        app(args=_arguments(sys.argv[1:]))
    except client.HubAway as error:
        _fail(str(error), 3)
    except client.UsageError as error:
        _fail(str(error), 2)
    except (client.ApiRefused, client.Mistaken) as error:
        if error.mistakes:
            sources.show_mistakes(error.mistakes)
            sys.exit(1)
        is_foreign = isinstance(error, client.ApiRefused) and error.is_foreign
        _fail(client.stranger(str(error)) if is_foreign else str(error), 1)
    except answered.FieldMissing as error:
        _fail(client.stranger(str(error)), 1)
    except (SkerryError, TooLarge) as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what reads us has seen enough
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _arguments(words: list[str]) -> list[str]:
    """Return the words of the command line; `--wait=all` is written as one option, which Typer has no form for."""
    mine = words.index("--") if "--" in words else len(words)
    return [*("--wait-all" if word == "--wait=all" else word for word in words[:mine]), *words[mine:]]


def _fail(text: str, code: int) -> None:
    output.errors().print(f"error: {text}", style="red", markup=False)
    sys.exit(code)

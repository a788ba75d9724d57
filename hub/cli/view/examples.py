"""What a person may type, shown below the help of each command. `\\b` keeps lines as they are."""

from __future__ import annotations

_COLUMNS = 78  # of a terminal of 80: click keeps two


def _lines(*rows: tuple[str, str]) -> str:
    """Return rows of a command and what it does as the end of a help text: below it, where there is no room beside."""
    width = max(len(command) for command, _ in rows) + 3
    beside = [f"  {command:<{width}}{what}".rstrip() for command, what in rows]
    below = [f"  {command}\n      {what}".rstrip() for command, what in rows]
    return "\b\nExamples:\n" + "\n".join(beside if max(map(len, beside)) <= _COLUMNS else below)


INIT = _lines(
    ("skerry hub init --name cloud", "a root, in the usual folder"),
    ("skerry hub init --name eu-north --parent https://HOST:8443 --token sk1.9f3c…", "a region below it"),
    ("SKERRY_CONTEXT=~/north.json skerry hub init …", "where to keep its operator's context"),
)
HUB_UPGRADE = _lines(
    ("sudo skerry hub upgrade ./skerry-hub_0.2.0+deb12_amd64.deb", "tried, and kept if all is well"),
)
TOKEN = _lines(
    ("skerry token create --label site=oslo --uses 20", "for twenty devices of this hub"),
    ("skerry token create --hub --label continent=eu", "for a region below it"),
)
APPLY = _lines(
    ("skerry apply -f line.yaml --wait", "declare it, and watch it come true"),
    ("skerry apply -f line.yaml --dry-run", "what would happen"),
    ('skerry apply -f line.yaml --override --for 8h --reason "a storm"', "at a region: over its parent's"),
)
DELETE = _lines(("skerry delete service/line workflow/report", ""))
RELEASE = _lines(
    ("skerry release service/line", "at a region: what the hub above declares is in force again"),
    (
        'skerry release service/line --at eu-north --reason "mended"',
        "at the hub that owns it: ask eu-north for it back",
    ),
)
DIFF = _lines(("skerry diff -f line.yaml", "what `apply` would change"))
GET = _lines(
    ("skerry get nodes -l site=oslo -w", "who is there, kept up to date"),
    ("skerry get regions", "what each hub below comes to"),
    ("skerry get hub", "this hub, and its link upward"),
    ("skerry get nodes cloud/eu-north/oslo-gw-7 -o json", "one node, for a program"),
)
DESCRIBE = _lines(
    ("skerry describe service line", "where it runs, by region and node, and why not"),
    ("skerry describe node eu-north/oslo-gw-7", "all about one device"),
    ("skerry describe hub", "this hub: its link upward, what is overridden, what to look at"),
)
RUN = _lines(
    ("skerry run --node oslo-gw-7 -- df -h /", "by name, or by path: eu-north/oslo-gw-7"),
    ("skerry run -l site=oslo,gpu -- uname -r", "by labels, at any depth; -l '*' is every device"),
)
EVENTS = _lines(
    ("skerry events --since 1h --kind 'service.*'", "of an hour"),
    ("skerry events --node eu-north/oslo-gw-7 -f", "of one device, as it comes"),
    ("skerry events --key service/line", "who declared, changed or overrode it"),
)
LOGS = _lines(
    ("skerry logs line -f", "of all its devices, as it is printed"),
    ("skerry logs line --node eu-north/oslo-gw-7", "of one"),
)
BROKER = _lines(("skerry hub broker --out ./mosquitto --listen 0.0.0.0:8883", ""))
SERVE = _lines(("skerry hub serve --data ./hub", "until ctrl-c; a unit does it where the package is installed"))
ACCEPT_RESTORE = _lines(('skerry hub accept-restore --reason "backup of Monday, looked at"', ""))
DEMO = _lines(
    ("skerry demo --keep", "leave the fleet up, and say what to try"),
    ("skerry demo --broker mosquitto", "links go through a broker"),
)
SCHEMA = _lines(("skerry schema > schema.json", "then, in a file: # yaml-language-server: $schema=schema.json"))
TOKENS = _lines(("skerry token list", "who may still enroll, and until when"))
TOKEN_DELETE = _lines(("skerry token delete 9f3c02aa", "its id, from `skerry token list`"))
START = _lines(
    ("skerry workflow start shift-report -p line=2 --wait", "where it is placed, and how it ends"),
    ("skerry workflow start shift-report --node oslo-gw-7", "on one device"),
)
CANCEL = _lines(("skerry workflow cancel r-17", "its id, from `skerry get runs`"))
LABEL = _lines(("skerry node label oslo-gw-7 site=oslo gpu-", "set one, take one away"))
CORDON = _lines(("skerry node cordon oslo-gw-7", "then: drain, or uncordon"))
UNCORDON = _lines(("skerry node uncordon oslo-gw-7", "also after a drain"))
DRAIN = _lines(("skerry node drain oslo-gw-7", "what may run elsewhere goes there"))
ACCEPT = _lines(('skerry node accept oslo-gw-7 --reason "a new disk"', ""))
NODE_RELEASE = _lines(
    ('skerry node release oslo-gw-7 label-print --reason "due at ten"', "its stop or start"),
    ("skerry node release oslo-gw-7", "its hold"),
)
MOVE = _lines(("skerry node move oslo-gw-7 --to eu-south", "at a hub above both; `--to cloud` is that hub itself"))
REVOKE = _lines(('skerry node revoke oslo-gw-7 --reason "stolen"', ""))
BUNDLE = _lines(("skerry bundle export mast-7 --to /media/stick", "what is asked of it, and what it needs"))
IMPORT = _lines(("skerry import /media/stick", "what happened at the devices it was at"))
BUNDLE_DEVICE = _lines(
    ("skerry bundle device --name mast-7 --label site=mast --to /media/stick", "there: sudo sh install"),
    ("skerry bundle device --name mast-7 | ssh kiosk tar -x -C /media/stick", "where the stick is elsewhere"),
)

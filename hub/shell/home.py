"""The hub's data directory: what lies where, and how a file gets there whole.

    hub.json                   who this hub is and where it listens; written last, so that it marks a finished directory
    root.key root.pem          the CA of a root hub; root.pem alone is what everybody in the tree pins
    ca.key ca.pem              the CA of a hub below another: its chain, the root last
    hub.key hub.pem            TLS, towards children and towards the parent, with the intermediates
    signer.key signer.pem      what the hub signs manifests with; the chain ends at the root
    ticket.key                 the secret behind artifact tickets
    hub.db                     the store (protocol.aio.journal)
    artifacts/HEX              one file for each artifact, named by its digest
    packages/*.deb             what devices install an agent from, copied there by an operator (hub.shell.install)

The directory is 0700, keys are 0600.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec

from protocol import ids
from protocol.aio.joining import words
from protocol.errors import BadId, Refused, StoreNewer

FORMAT = 1


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen. An empty or wildcard host means every address of this machine."""

    host: str
    port: int

    def meets(self, other: Place) -> bool:
        """Tell whether a listener here would be in the way of one at `other`."""
        wildcards = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
        hosts = (self.host, other.host)
        return self.port == other.port and (hosts[0] == hosts[1] or any(host in wildcards for host in hosts))


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """An external broker in place of the front door; `name` stands in its certificate, which our root has signed."""

    host: str
    port: int
    name: str


class Parent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The hub above this one; `scope` is the DNS name of its domain, which its API proves by TLS.

    `names`: the names and addresses that its certificate gave it last: where it may be found when it has moved.
    """

    id: str
    scope: str
    mqtt: words.Mqtt
    api: Place
    names: list[str] = []


class HubFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """hub.json. `format` rises when an older version could not read the directory."""

    id: str
    name: str
    mqtt: Place
    api: Place
    format: int = FORMAT
    broker: Broker | None = None
    parent: Parent | None = None


class Home:
    """The paths in one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "hub.json"
        self.database = folder / "hub.db"
        self.artifacts = folder / "artifacts"
        self.packages = folder / "packages"

    def path(self, name: str) -> Path:
        """Return the path of a file of the directory; `name` is ours, never a peer's (INVARIANTS C6)."""
        return self.folder / name

    def load(self) -> HubFile:
        """Return hub.json. Raises Refused when there is no hub here, StoreNewer when a newer version made it."""
        try:
            raw = self.file.read_bytes()
        except FileNotFoundError as error:
            here = "holds no hub" if self.folder.is_dir() else "does not exist"
            raise Refused(f"{self.folder} {here}: run `skerry hub init --data {self.folder}` first") from error
        except OSError as error:
            raise Refused(f"{self.file} cannot be read ({error.strerror}): run as the user who made it") from error
        return _decode(raw, self.file)


def check_parent(home: Home, parent: Parent | None, scope: str) -> None:
    """Raises Refused unless `parent` is whom the papers of the hub of `scope` name: a child of it would make a loop."""
    if parent is not None and parent.scope != scope.partition(".")[2]:
        loop = ", and hubs make no loop" if f".{parent.scope}".endswith(f".{scope}") else ""
        says = f"{home.file} names {parent.id} as the parent of {scope}, whose papers are not from {parent.scope}{loop}"
        raise Refused(f"{says}: put back the parent that it had")


def parse_place(text: str, option: str) -> Place:
    """Return `HOST:PORT` as a Place. Raises Refused, naming the option."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise Refused(f"{option} {text!r} is no place to listen: write HOST:PORT, for example 0.0.0.0:8443")
    return Place(host=host, port=int(port))


def parse_broker(url: str, hub: str) -> Broker:
    """Return `mqtts://HOST:PORT` as a Broker; `?name=NAME` says what its certificate names if not this hub.

    Raises Refused.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
        name = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query))).get("name", hub)
    except ValueError:
        host, port, name = None, None, hub
    if parts.scheme != "mqtts" or not host or not port:
        raise Refused(f"--broker {url!r} is no broker: write mqtts://HOST:PORT (mutual TLS under this hub's root)")
    return Broker(host=host, port=port, name=name)


def _decode(raw: bytes, path: Path) -> HubFile:
    try:
        version = msgspec.json.decode(raw, type=_Version).format
        if version > FORMAT:
            raise StoreNewer(
                f"{path.parent} was made by a newer version of Skerry (format {version}): upgrade this one"
            )
        found = msgspec.json.decode(raw, type=HubFile)
        ids.node_id(found.id)
    except (msgspec.DecodeError, BadId) as error:
        raise Refused(f"{path} is damaged ({error}): restore it from a backup") from error
    return found


class _Version(msgspec.Struct, frozen=True):
    format: int = FORMAT

"""A hub asks its parent in: keys made here, a one-time token that pins the root, a CA confined to what is below.

    the parent is met and asked (protocol.aio.joining): the token and the requests go to nobody that the pin does not
    prove; one request is for hub.key, by which the parent will know this hub, the other for ca.key
    what comes back is the chain of our CA; everything else this hub issues to itself (hub.shell.authority)

The keys wait in `.joining` of the directory until the hub is made: if the answer is lost, the same keys ask again, for
a name is never given to another key (INVARIANTS C5). Nothing else is left of an attempt that failed.

Not imported while a hub serves (httpx).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from hub.shell.home import Home, Parent, Place
from protocol import ids
from protocol.aio.joining import meeting, words
from protocol.aio.joining.words import Unreachable
from protocol.aio.upkeep import synced
from protocol.errors import Refused, SkerryError, TrustError
from protocol.trust import certificates, chains

_KEYS = ("hub.key", "ca.key")


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """What a parent gave: `chain` is that of our CA, root last (PEM). `keys`: the folder with the keys it is for."""

    parent: Parent
    root: bytes
    chain: bytes
    keys: Path

    def place(self, home: Home) -> None:
        """Write the papers into the directory that is being made. Raises OSError."""
        for name in _KEYS:
            synced.write(home.path(name), (self.keys / name).read_bytes())
        synced.write(home.path("ca.pem"), self.chain, 0o644)
        synced.write(home.path("root.pem"), self.root, 0o644)


def ask(keys: Path, name: str, url: str, token: str) -> Joined:
    """Ask the hub at `url` for a place below it, with the keys in the folder `keys`, made now if there are none.

    Raises Refused, TrustError, Unreachable, BadId, OSError.
    """
    if not token:
        raise Refused("a hub gets in by a token of its parent: there, skerry token create --hub")
    met = meeting.meet(words.base(url, "--parent"), token)
    if name in met.info.path:
        way = "/".join(met.info.path)
        raise Refused(
            f"{name!r} is above or is {met.info.hub} itself ({way}): hubs make no loop; choose another --name"
        )
    _make_keys(keys)
    try:
        body: dict[str, object] = {"token": token.strip(), "name": name}
        for what, path in (("csr", _KEYS[0]), ("ca", _KEYS[1])):
            body[what] = certificates.make_csr(certificates.load_key((keys / path).read_bytes()), name).decode()
        return _checked(meeting.enroll(met, body, f"the hub {name}"), name, met, keys)
    except Unreachable:
        raise  # it may have been let in there: the same keys must ask again
    except SkerryError:
        shutil.rmtree(keys, ignore_errors=True)
        raise


def _make_keys(keys: Path) -> None:
    keys.mkdir(mode=0o700, exist_ok=True)
    for name in _KEYS:
        if not (keys / name).exists():
            synced.write(keys / name, certificates.key_pem(certificates.make_key()))


def _checked(answer: words.Enrolled, name: str, met: words.Met, keys: Path) -> Joined:
    """Return what the parent gave, if it is what was asked for. Raises TrustError, TooLarge."""
    chain = answer.certificate + answer.root
    if answer.node != name:
        raise TrustError(f"{met.base} answered for {answer.node}, not for {name}: refused")
    chains.check_issued(chain, "ca", name, certificates.spki_hash(answer.root), answer.scope)
    key = certificates.load_key((keys / "ca.key").read_bytes())
    if certificates.spki_hash(chain) != certificates.spki_hash(certificates.make_csr(key, name)):
        raise TrustError("the CA's certificate is for another key than this hub's: refused")
    host = urlsplit(met.base).hostname or ""
    mqtt = answer.mqtt
    parent = Parent(
        id=ids.node_id(answer.hub),
        scope=answer.scope,
        mqtt=msgspec.structs.replace(mqtt, host=mqtt.host or host),
        api=Place(host=answer.api.host or host, port=answer.api.port),
    )
    return Joined(parent=parent, root=answer.root.encode(), chain=chain.encode(), keys=keys)

"""Many devices, or hubs, enrolled at once: by the hub's own core, authority and store, before the hub is served.

What a device gets and what the hub stores is what enrollment over the API makes of it; only the HTTP between them, and
the rate that it is held to, is absent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from hub.core import inputs, streams
from hub.core.hub import HubConfig, HubCore
from hub.shell.authority import Authority
from hub.shell.home import Home
from hub.shell.init import mint_epoch
from hub.shell.papers import issuing
from protocol.aio import tls
from protocol.aio.journal import Journal
from protocol.effects import Action, Effects, Now
from protocol.trust import certificates, signing

_TTL_S = 3_600.0
_SECRET = "s3cret"
Act = TypeVar("Act", bound=Action)
Made = TypeVar("Made")


@dataclass(frozen=True)
class Papers:
    """What an enrolled device connects with."""

    hub: str
    node: str
    context: tls.ChildContext


async def enroll(hub: Path, names: Sequence[str], folder: Path) -> list[Papers]:
    """Enroll `names` at the hub whose data directory is `hub`, which nobody serves; their papers lie in `folder`."""
    folder.mkdir()
    return await _at_desk(hub, "agent", names, lambda desk, name: desk.enroll(name, folder / name))


async def found(hub: Path, names: Sequence[str], folder: Path) -> list[Home]:
    """As `enroll`, for hubs: each gets a directory in `folder` with the papers of a region, and no store."""
    folder.mkdir()
    return await _at_desk(hub, "hub", names, lambda desk, name: desk.found(name, Home(folder / name)))


async def _at_desk(hub: Path, kind: str, names: Sequence[str], deed: Callable[[_Desk, str], Made]) -> list[Made]:
    home = Home(hub)
    file = home.load()
    keys = Authority(home, file.id)
    journal = await Journal.open(home.database, node=file.id, streams=streams.NAMES, mint=mint_epoch)
    try:
        config = HubConfig(node=file.id, signer=keys.signer(), ticket_secret=keys.ticket_secret)
        desk = _Desk(HubCore(journal.snapshot(), config), keys)
        desk.begin(kind, len(names))
        made = [deed(desk, name) for name in names]
        await journal.commit(desk.fx.store)
    finally:
        await journal.close()
    return made


class _Desk:
    """A hub's core for the time of the enrollment; `fx` is what has come of it."""

    def __init__(self, core: HubCore, keys: Authority) -> None:
        self._core, self._keys = core, keys
        self._requests = 0
        self.fx = Effects()

    def begin(self, kind: str, uses: int) -> None:
        """Begin a life and make the token, for agents or hubs."""
        self._take(inputs.Started(entropy=os.urandom(32), incarnation=os.urandom(8).hex(), version="bench"))
        hashed = signing.secret_hash(_SECRET)
        self._ask(inputs.CreateToken(id="crowd", secret_hash=hashed, ttl_s=_TTL_S, uses=uses, kind=kind))

    def enroll(self, name: str, place: Path) -> Papers:
        """Enroll one device and write its papers to files beside `place`."""
        key = certificates.make_key()
        issued = self._issued(_request(name, key))
        paths = {kind: place.with_suffix(f".{kind}") for kind in ("pem", "key", "root")}
        paths["pem"].write_text(issued.certificate)
        paths["key"].write_bytes(certificates.key_pem(key))
        paths["root"].write_bytes(self._keys.root)
        context = tls.child_context(chain=paths["pem"], key=paths["key"], root=paths["root"], name=self._keys.hub)
        return Papers(self._keys.hub, name, context)

    def found(self, name: str, home: Home) -> Home:
        """Enroll one hub and make its directory."""
        home.folder.mkdir()
        key, ca = certificates.make_key(), certificates.make_key()
        asked = certificates.make_csr(ca, name)
        of_ca = {"ca": asked.decode(), "ca_key": certificates.spki_hash(asked)}
        issued = self._issued(msgspec.structs.replace(_request(name, key), **of_ca))
        home.path("hub.key").write_bytes(certificates.key_pem(key))
        home.path("ca.key").write_bytes(certificates.key_pem(ca))
        home.path("ca.pem").write_bytes(issued.certificate.encode() + self._keys.root)
        home.path("root.pem").write_bytes(self._keys.root)
        issuing.settle(home, name, (), time.time())
        return home

    def _issued(self, asked: inputs.Enroll) -> inputs.CertificateIssued:
        issued = self._keys.issue(_only(self._ask(asked), inputs.IssueCertificate), time.time())
        self._take(issued)
        return issued

    def _ask(self, op: inputs.AnyOp) -> Effects:
        self._requests += 1
        return self._take(inputs.Request(request=self._requests, who="token:bench", op=op))

    def _take(self, given: inputs.Input) -> Effects:
        fx = self._core.handle(given, Now(time.monotonic(), time.time()))
        refused = [one.error for one in fx.act if isinstance(one, inputs.Reply) and one.error]
        assert not refused, refused
        self.fx.store += fx.store
        return fx


def _request(name: str, key: ec.EllipticCurvePrivateKey) -> inputs.Enroll:
    csr = certificates.make_csr(key, name)
    return inputs.Enroll(
        token="crowd",
        secret_hash=signing.secret_hash(_SECRET),
        name=name,
        csr=csr.decode(),
        key=certificates.spki_hash(csr),
    )


def _only(fx: Effects, kind: type[Act]) -> Act:
    (found,) = (one for one in fx.act if isinstance(one, kind))
    return found

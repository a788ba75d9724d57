"""The first papers of a hub: of a root all of them, of a region what its own CA issues to it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from hub.shell.authority import Authority
from hub.shell.home import Home
from protocol import limits
from protocol.aio.upkeep import synced
from protocol.trust import certificates


def create(home: Home, hub: str, hosts: Sequence[str], now_s: float) -> Authority:
    """Make a new CA with all its keys in `home`, which must be an empty directory of ours."""
    key = certificates.make_key()
    root = certificates.make_root(key, hub, now_s)
    synced.write(home.path("root.key"), certificates.key_pem(key))
    synced.write(home.path("root.pem"), root, 0o644)
    synced.write(home.path("hub.key"), certificates.key_pem(certificates.make_key()))
    return settle(home, hub, hosts, now_s)


def settle(home: Home, hub: str, hosts: Sequence[str], now_s: float) -> Authority:
    """Issue with the CA in `home`, which is there with hub.key, what else a hub has for itself: TLS and signing."""
    name = "root" if home.path("root.key").exists() else "ca"
    key, chain = (certificates.load_key(home.path(f"{name}.key").read_bytes()), home.path(f"{name}.pem").read_bytes())
    public = certificates.load_key(home.path("hub.key").read_bytes()).public_key()
    tls = certificates.issue_hub(public, hub, hosts, key, chain, now_s, limits.HUB_CERTIFICATE_DAYS)
    synced.write(home.path("hub.pem"), tls, 0o644)
    signing_key, signing_chain = certificates.make_signer(hub, key, chain, now_s)
    synced.write(home.path("signer.key"), certificates.key_pem(signing_key))
    synced.write(home.path("signer.pem"), signing_chain, 0o644)
    synced.write(home.path("ticket.key"), secrets.token_bytes(32))
    return Authority(home, hub)

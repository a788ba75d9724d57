"""`enroll --discover`: which of the hubs on this network made the token. Not imported by the daemon (zeroconf, httpx).

What is heard is a mere hint. The token's pin chooses: of all that claim its root, only who proves by TLS to hold a
certificate under that very root is offered, and the enrollment itself proves it again, as with --hub.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

import httpx

from protocol import limits
from protocol.aio import tls
from protocol.aio.finding import mdns, proof
from protocol.aio.finding.words import Announced
from protocol.errors import Refused, SkerryError
from protocol.trust import signing

Listen = Callable[[float], Sequence[Announced]]


def url(token: str, hub: str = "", listen: Listen = mdns.listen) -> str:
    """Return the address of the one hub on this network that proves to be under the root that `token` pins.

    `hub`: the id of the one that is meant, if several are. Raises TrustError (no token), Refused, which says what was
    found.
    """
    pin = signing.token_parse(token).pin
    try:
        heard = listen(limits.DISCOVER_WAIT_S)
    except OSError as error:
        raise Refused(f"{error}; or name the hub: --hub https://HOST:8443") from error
    found = [one for one in heard if not hub or one.hub == hub]
    if not found:
        raise Refused(_nobody(heard, hub))
    ours = [one for one in found if one.root == pin]
    if not ours:
        raise Refused(
            f"{_list(found)} on this network, and none is of the fleet that made this token: "
            "make a token at one of them, or name yours: --hub https://HOST:8443"
        )
    proven, doubts = _proven(ours, pin)
    if not proven:
        raise Refused(
            f"{_list(ours)} on this network, and none proves it: {'; '.join(doubts)}. Somebody may stand in between; "
            "name the hub: --hub https://HOST:8443"
        )
    if len({one.hub for one in proven.values()}) > 1:
        names = ", ".join(f"{one.path} at {where}" for where, one in proven.items())
        raise Refused(f"several hubs of this fleet answer ({names}): name yours: --discover --hub {min(proven)}")
    return next(iter(proven))


def _proven(ours: Sequence[Announced], pin: str) -> tuple[dict[str, Announced], list[str]]:
    proven: dict[str, Announced] = {}
    doubts: list[str] = []
    for one in ours:
        for host in one.hosts:
            base = f"https://{proof.text(host, one.api)}"
            doubt = _doubt(base, host, one, pin)
            if not doubt:
                proven[base] = one
                break
            doubts.append(f"{one.hub} at {base}: {doubt}")
    return proven, doubts[: limits.FOUND_HOSTS_MAX]


def _doubt(base: str, host: str, said: Announced, pin: str) -> str:
    """Return why who answers at `base` is not the hub it says it is; "" when it is."""
    unproven = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unproven.check_hostname = False
    unproven.verify_mode = ssl.CERT_NONE  # a root is public: the pin tells whether it is ours
    try:
        with httpx.Client(base_url=base, verify=unproven, timeout=limits.DISCOVER_TRY_S, trust_env=False) as client:
            root = client.get("/v1/ca").text
        if len(root) > limits.CHAIN_BYTES_MAX or signing.spki_hash(root) != pin:
            return "its CA is another than the one it names"
        return proof.stands(host, said.api, tls.api_context(root, said.name))
    except (httpx.HTTPError, SkerryError, ssl.SSLError, ValueError) as error:
        return str(error) or type(error).__name__


def _nobody(heard: Sequence[Announced], hub: str) -> str:
    if heard:
        return f"no hub {hub[:80]!r} answers on this network: {_list(heard)}"
    return (
        f"no hub answers on this network within {limits.DISCOVER_WAIT_S:.0f} s: does one serve there, and announce "
        "itself (skerry hub serve)? Or name it: --hub https://HOST:8443"
    )


def _list(found: Sequence[Announced]) -> str:
    names = [f"{one.hub} at https://{proof.text(one.hosts[0], one.api)} (root {one.root[:8]})" for one in found]
    return f"found {', '.join(names)}"

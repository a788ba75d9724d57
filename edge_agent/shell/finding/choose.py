"""`enroll --discover`: which of the hubs on this network made the token. Not imported by the daemon (zeroconf, httpx).

What is heard is a mere hint. The token chooses: of all that claim to be the hub that made it, only who proves by TLS to
be that hub, under the root that the token pins, is taken, and the enrollment itself proves it again, as with --hub.
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


def url(token: str, listen: Listen = mdns.listen) -> str:
    """Return the address on this network of the hub that made `token`, as it proves.

    Raises TrustError (no token), Refused, which says what was found.
    """
    made = signing.token_parse(token)
    try:
        heard = listen(limits.DISCOVER_WAIT_S)
    except OSError as error:
        raise Refused(f"{error}; or name the hub: --hub https://HOST:8443") from error
    if not heard:
        raise Refused(
            f"no hub answers on this network within {limits.DISCOVER_WAIT_S:.0f} s: does one serve there, and announce "
            "itself (skerry hub serve)? Or name it: --hub https://HOST:8443"
        )
    ours = [one for one in heard if (one.root, one.name) == (made.pin, made.scope)]
    if not ours:
        raise Refused(
            f"{_list(heard)} on this network, and none is {made.scope}, which made this token: "
            "make a token at one of them, or name yours: --hub https://HOST:8443"
        )
    proven, doubts = _proven(ours)
    if not proven:
        raise Refused(
            f"{_list(ours)} on this network, and none proves it: {'; '.join(doubts)}. Somebody may stand in between; "
            "name the hub: --hub https://HOST:8443"
        )
    return proven


def _proven(ours: Sequence[Announced]) -> tuple[str, list[str]]:
    """Return where one of them is what it says it is ("": none), and why the others are not."""
    doubts: list[str] = []
    for one in ours:
        for host in one.hosts:
            base = f"https://{proof.text(host, one.api)}"
            doubt = _doubt(base, host, one)
            if not doubt:
                return base, []
            doubts.append(f"{one.hub} at {base}: {doubt}")
    return "", doubts[: limits.FOUND_HOSTS_MAX]


def _doubt(base: str, host: str, said: Announced) -> str:
    """Return why who answers at `base` is not the hub it says it is; "" when it is."""
    unproven = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unproven.check_hostname = False
    unproven.verify_mode = ssl.CERT_NONE  # a root is public: the pin tells whether it is ours
    try:
        with httpx.Client(base_url=base, verify=unproven, timeout=limits.DISCOVER_TRY_S, trust_env=False) as client:
            root = client.get("/v1/ca").text
        if len(root) > limits.CHAIN_BYTES_MAX or signing.spki_hash(root) != said.root:
            return "its CA is another than the one it names"
        return proof.stands(host, said.api, tls.api_context(root, said.name))
    except (httpx.HTTPError, SkerryError, ssl.SSLError, ValueError) as error:
        return str(error) or type(error).__name__


def _list(found: Sequence[Announced]) -> str:
    names = [f"{one.hub} at https://{proof.text(one.hosts[0], one.api)} (root {one.root[:8]})" for one in found]
    return f"found {', '.join(names)}"

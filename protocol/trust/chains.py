"""Chains of certificates, checked: each is issued by the next, down from the pinned root, and confined as it must be.

All CAs are ours, so what is asked of a chain is exact and not merely what X.509 allows:

    the root's key is the pinned one; its scope is `ROOT.skerry`
    every other CA has the scope `ID.<its issuer's scope>`, is confined to it, and may have fewer CAs below it than its
    issuer may: at most limits.TIERS_MAX in a row
    the leaf names itself in the scope of its issuer, and nothing outside: a node as `ID.SCOPE`; a hub and its signer
    are of the very hub whose CA issued them

So a region can name nothing that is not below it. OpenSSL enforces the same constraints on what connects by TLS; this
is for what is proven otherwise: signing keys, renewals, what comes through a broker. Dates are not judged.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from protocol import ids
from protocol.errors import TrustError
from protocol.trust import certificates


def check_issued(chain: bytes | str, role: str, name: str, root_pin: str, scope: str = "") -> x509.Certificate:
    """Return the leaf of `chain` (PEM, leaf first, root last) after checking it; dates are not judged.

    The leaf names `name` in `role`; `scope`, if given, is that of the CA which issued it. Raises TrustError, TooLarge.
    """
    found = certificates.load_chain(chain)
    if len(found) < 2 or certificates.key_hash(found[-1]) != root_pin:
        raise TrustError(f"the certificate chain of {name} does not end at the pinned root: it is of another hub")
    for certificate, issuer in itertools.pairwise(found):
        _check_link(certificate, issuer, name)
    issued_in = _scope(found[1:], name)
    leaf = found[0]
    if certificates.named(leaf) != (role, name):
        raise TrustError(f"the certificate names {' '.join(certificates.named(leaf))}, not {role} {name}")
    if scope and issued_in != scope:
        raise TrustError(f"the certificate of {role} {name} was issued in {issued_in}, not in {scope}")
    _check_leaf(found, role, name, issued_in)
    return leaf


def intermediates(chain: bytes) -> list[x509.Certificate]:
    """Return the CAs' certificates in `chain`, but for the root's. Raises TrustError or TooLarge."""
    found = certificates.load_chain(chain)
    return [one for one in found if certificates.named(one)[0] == "ca" and one.subject != one.issuer]


def rebased(chain: bytes, ca: bytes) -> bytes:
    """Return the first certificate of `chain` with the whole chain of its issuer `ca`, which was renewed on its key."""
    return certificates.load_chain(chain)[0].public_bytes(serialization.Encoding.PEM) + ca


def _check_link(certificate: x509.Certificate, issuer: x509.Certificate, name: str) -> None:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise TrustError(f"the certificate chain of {name} is broken: {error or 'a signature is wrong'}") from error
    if not constraints.ca:
        raise TrustError(f"the certificate chain of {name} is broken: an issuer is no CA")


def _scope(issuers: Sequence[x509.Certificate], name: str) -> str:
    """Return the scope of the first of `issuers` (root last), each held to what its issuer lets it be."""
    above, room = ids.DNS_SUFFIX.removeprefix("."), -1
    for ca in reversed(issuers):
        role, hub = certificates.named(ca)
        scope = f"{hub}.{above}"
        below = ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        is_root = room < 0
        if role != "ca" or certificates.dns_names(ca) != [scope] or not _is_confined(ca, "" if is_root else scope):
            raise TrustError(f"the certificate chain of {name} is broken: the CA {hub} is not confined to {scope}")
        if below is None or (not is_root and below >= room):
            raise TrustError(f"the certificate chain of {name} is broken: there are too many tiers above {hub}")
        above, room = scope, below
    return above


def _is_confined(ca: x509.Certificate, scope: str) -> bool:
    try:
        found = ca.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return not scope
    return found.critical and found.value.permitted_subtrees == [x509.DNSName(scope)]


def _check_leaf(found: Sequence[x509.Certificate], role: str, name: str, scope: str) -> None:
    leaf, issuer = found[0], certificates.named(found[1])[1]
    names = certificates.dns_names(leaf)
    own = scope if role in ("hub", "signer") else f"{name}.{scope}"
    is_free = len(found) == 2  # under the root: a hub's host names are its own affair
    outside = [one for one in names if one != scope and not one.endswith(f".{scope}") and not is_free]
    if own not in names or outside:
        raise TrustError(f"the certificate of {role} {name} names {', '.join(outside or names)}: it is not of {scope}")
    if own == scope and name != issuer:
        raise TrustError(f"the certificate of {role} {name} was issued by hub {issuer}, which may not")
    if role == "ca":
        _scope(found, name)

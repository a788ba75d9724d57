"""Chains over tiers: what a confined CA may issue, and all that it may not, however well it is signed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from protocol import limits
from protocol.errors import TrustError
from protocol.trust import certificates, chains, signing

NOW_S = 1_800_000_000.0
ROOT_KEY = certificates.make_key()
ROOT = certificates.make_root(ROOT_KEY, "cloud", NOW_S)
PIN = certificates.spki_hash(ROOT)

Ca = tuple[ec.EllipticCurvePrivateKey, bytes]
"""A CA: its key, and its chain with the root."""
CLOUD: Ca = (ROOT_KEY, ROOT)


def region(name: str, above: Ca = CLOUD) -> Ca:
    """A hub's CA below another."""
    key = certificates.make_key()
    return key, certificates.issue_ca(certificates.make_csr(key, name), name, *above, NOW_S) + ROOT


def csr() -> bytes:
    return certificates.make_csr(certificates.make_key(), "x")


def tower(tiers: int, name: str = "h") -> Ca:
    """The CA of the last of so many hubs, each below the one before, the root counted."""
    ca = CLOUD
    for tier in range(1, tiers):
        ca = region(f"{name}{tier}", ca)
    return ca


def forged(
    by: Ca,
    uri: str,
    dns: Sequence[str],
    *,
    below: int | None = -1,
    confined: str = "",
    critical: bool = True,
) -> Ca:
    """What somebody with the CA `by` can sign when no rule of ours binds him; `below` -1: no CA."""
    key, issuer = certificates.make_key(), x509.load_pem_x509_certificate(by[1])
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, uri.rpartition(":")[2])])
    builder = x509.CertificateBuilder().issuer_name(issuer.subject).subject_name(subject).public_key(key.public_key())
    builder = builder.not_valid_before(issuer.not_valid_before_utc).not_valid_after(issuer.not_valid_after_utc)
    names = [x509.UniformResourceIdentifier(uri), *(x509.DNSName(name) for name in dns)]
    is_ca = below != -1
    constraints = x509.BasicConstraints(ca=is_ca, path_length=below if is_ca else None)
    builder = builder.serial_number(1).add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(constraints, critical=True)
    if confined:
        permitted = x509.NameConstraints([x509.DNSName(confined)], None)
        builder = builder.add_extension(permitted, critical=critical)
    pem = builder.sign(by[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return key, pem + by[1]


def test_what_a_region_issues_leads_to_the_pinned_root():
    north = region("eu-north")
    node = certificates.issue_node(csr(), "gw-7", *north, NOW_S, 90)
    leaf = chains.check_issued(node + ROOT, "node", "gw-7", PIN, "eu-north.cloud.skerry")
    assert certificates.dns_names(leaf) == ["gw-7.eu-north.cloud.skerry"]
    key, chain = certificates.make_signer("eu-north", *north, NOW_S)
    anchor = signing.Anchor(PIN, "eu-north.cloud.skerry")
    signer = signing.Signer(key, "eu-north", chain)
    assert anchor.learn(chain, "eu-north") == signer.key
    hub = certificates.issue_hub(
        certificates.make_key().public_key(), "eu-north", ["box", "10.0.0.1"], *north, NOW_S, 9
    )
    chains.check_issued(hub + ROOT, "hub", "eu-north", PIN)
    assert certificates.hosts_of(hub) == {"10.0.0.1"}  # a name of a machine is nothing that a region may vouch for


def test_a_ca_is_critically_confined_to_its_scope_and_to_fewer_tiers():
    leaf = chains.check_issued(region("eu-north")[1], "ca", "eu-north", PIN, "cloud.skerry")
    found = leaf.extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    assert found.value.permitted_subtrees == [x509.DNSName("eu-north.cloud.skerry")]
    limit = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limit.critical, limit.value.path_length) == (True, limits.TIERS_MAX - 2)


def test_the_deepest_tree_with_the_longest_names_fits():
    last = tower(limits.TIERS_MAX, "n" * 41)
    assert len(certificates.scope_of(last[1])) <= limits.SCOPE_CHARS_MAX
    node = certificates.issue_node(csr(), "d" * 63, *last, NOW_S, 90) + ROOT
    chains.check_issued(node, "node", "d" * 63, PIN)
    addresses = [f"fd00::{n:x}:{n:x}:{n:x}:{n:x}" for n in range(64)]
    key = certificates.make_key().public_key()
    hub = certificates.issue_hub(key, "n" * 41 + "4", addresses, *last, NOW_S, 9) + ROOT
    chains.check_issued(hub, "hub", "n" * 41 + "4", PIN)
    assert max(len(node), len(hub)) < limits.CHAIN_BYTES_MAX


def test_a_path_of_names_that_would_be_too_long_is_refused():
    with pytest.raises(TrustError, match="choose shorter names"):
        tower(limits.TIERS_MAX, "n" * 62)


def test_a_sixth_tier_is_refused_by_who_issues_and_by_who_checks():
    last = tower(limits.TIERS_MAX)
    with pytest.raises(TrustError, match="h4 is of the last of 5 tiers"):
        region("h5", last)
    scope = f"h4.{'.'.join(f'h{tier}' for tier in (3, 2, 1))}.cloud.skerry"
    above = tower(limits.TIERS_MAX - 1)
    beyond = forged(above, "skerry:ca:h4", [scope], below=1, confined=scope)
    with pytest.raises(TrustError, match="too many tiers above h4"):
        chains.check_issued(certificates.issue_node(csr(), "gw", *beyond, NOW_S, 1) + ROOT, "node", "gw", PIN)


def test_a_region_names_nothing_outside_its_scope():
    north = region("eu-north")
    for uri, dns in (
        ("skerry:node:gw-1", ["gw-1.eu-south.cloud.skerry"]),
        ("skerry:node:gw-1", ["gw-1.cloud.skerry"]),
        ("skerry:node:gw-1", ["gw-1.eu-north.cloud.skerry", "cloud.skerry"]),
        ("skerry:node:gw-1", ["xeu-north.cloud.skerry"]),
        ("skerry:node:gw-1", ["gw-2.eu-north.cloud.skerry"]),
        ("skerry:node:gw-1", []),
        ("skerry:signer:eu-north", ["eu-south.cloud.skerry"]),
        ("skerry:hub:eu-north", ["eu-north.cloud.skerry", "localhost"]),
    ):
        role, name = uri.split(":")[1:]
        with pytest.raises(TrustError, match=r"it is not of eu-north\.cloud\.skerry"):
            chains.check_issued(forged(north, uri, dns)[1], role, name, PIN)


def test_a_region_signs_for_no_other_parent():
    north = region("eu-north")
    for parent in ("cloud", "eu-south"):
        chain = forged(north, f"skerry:signer:{parent}", ["eu-north.cloud.skerry"])[1]
        with pytest.raises(TrustError, match="was issued by hub eu-north, which may not"):
            signing.prove_signer(chain, parent, PIN)


def test_a_hub_of_the_same_name_elsewhere_in_the_tree_does_not_pass_for_the_parent():
    mine, theirs = region("oslo", region("eu")), region("oslo", region("us"))
    _, chain = certificates.make_signer("oslo", *theirs, NOW_S)
    assert signing.Anchor(PIN, "oslo.us.cloud.skerry").learn(chain, "oslo")
    with pytest.raises(TrustError, match=r"issued in oslo\.us\.cloud\.skerry, not in oslo\.eu\.cloud\.skerry"):
        signing.Anchor(PIN, certificates.scope_of(mine[1])).learn(chain, "oslo")


@pytest.mark.parametrize(
    ("uri", "scope", "confined", "critical"),
    [
        ("skerry:ca:x", "x.eu-north.cloud.skerry", "", True),
        ("skerry:ca:x", "x.eu-north.cloud.skerry", "cloud.skerry", True),
        ("skerry:ca:x", "x.eu-north.cloud.skerry", "x.eu-north.cloud.skerry", False),
        ("skerry:ca:x", "x.cloud.skerry", "x.cloud.skerry", True),
        ("skerry:ca:eu-south", "eu-south.cloud.skerry", "eu-south.cloud.skerry", True),
        ("skerry:hub:x", "x.eu-north.cloud.skerry", "x.eu-north.cloud.skerry", True),
    ],
)
def test_a_region_makes_no_ca_that_is_less_confined(uri: str, scope: str, confined: str, critical: bool):
    odd = forged(region("eu-north"), uri, [scope], below=0, confined=confined, critical=critical)
    leaf = forged(odd, "skerry:node:gw", [f"gw.{scope}"])[1]
    with pytest.raises(TrustError, match="is not confined to"):
        chains.check_issued(leaf, "node", "gw", PIN)


def test_a_ca_that_leaves_open_how_many_are_below_it_is_refused():
    scope = "x.eu-north.cloud.skerry"
    odd = forged(region("eu-north"), "skerry:ca:x", [scope], below=None, confined=scope)
    with pytest.raises(TrustError, match="too many tiers"):
        chains.check_issued(forged(odd, "skerry:node:gw", [f"gw.{scope}"])[1], "node", "gw", PIN)
    with pytest.raises(TrustError, match="too many tiers"):
        chains.check_issued(odd[1], "ca", "x", PIN)


def test_a_nodes_certificate_is_no_ca_and_no_hubs():
    north = region("eu-north")
    node = forged(north, "skerry:node:gw", ["gw.eu-north.cloud.skerry"])
    with pytest.raises(TrustError, match="an issuer is no CA"):
        chains.check_issued(forged(node, "skerry:node:gw-2", ["gw-2.gw.eu-north.cloud.skerry"])[1], "node", "gw-2", PIN)
    with pytest.raises(TrustError, match="names node gw, not hub gw"):
        chains.check_issued(node[1], "hub", "gw", PIN)
    with pytest.raises(TrustError, match="names node gw, not ca gw"):
        chains.check_issued(node[1], "ca", "gw", PIN)
    with pytest.raises(TrustError, match="not that of a CA"):
        certificates.issue_ca(csr(), "x", *node, NOW_S)


def test_a_ca_below_an_issuer_of_another_key_is_no_chain():
    other = certificates.make_root(certificates.make_key(), "cloud", NOW_S)
    leaf = certificates.issue_node(csr(), "gw", *region("eu-north"), NOW_S, 1)
    with pytest.raises(TrustError, match="does not end at the pinned root"):
        chains.check_issued(leaf + other, "node", "gw", PIN)
    with pytest.raises(TrustError, match="is broken"):
        chains.check_issued(leaf + other, "node", "gw", certificates.spki_hash(other))


def test_what_was_issued_before_a_renewal_of_the_ca_holds_with_its_new_chain():
    key, old = region("eu-north")
    node = certificates.issue_node(csr(), "gw", key, old, NOW_S, 90)
    new = certificates.issue_ca(certificates.make_csr(key, "x"), "eu-north", *CLOUD, NOW_S + 10_000) + ROOT
    assert chains.intermediates(node) == chains.intermediates(old) != chains.intermediates(new)
    again = chains.rebased(node, new)
    chains.check_issued(again, "node", "gw", PIN, "eu-north.cloud.skerry")
    assert chains.intermediates(again) == chains.intermediates(new)
    assert chains.intermediates(ROOT) == []

"""A child with a valid certificate that means harm: what it says may cost itself dearly, and nobody else anything."""

from __future__ import annotations

from protocol import codec, messages
from protocol.effects import Effects, Now
from protocol.errors import RemoteProtocolError
from protocol.link.parent import Parent
from tests.support.link_world import CHILD, PARENT, FakeSigner
from tests.support.memory_store import MemoryStore

T0 = Now(10.0, 1_700_000_000.0)


def test_no_status_keeps_its_parent_from_starting_again() -> None:
    """Whatever of a Status the codec lets through is stored, and read again when the parent starts."""
    for odd in (b'"time_ms":1%s' % (b"0" * 400), b'"heads":{"state":1%s}' % (b"0" * 400), b'"time_ms":-1'):
        fields = b'"is":"status","session":1,"count":1,"held":{},"heads":{},"time_ms":1,"body":{}'
        store = MemoryStore(PARENT)
        one = Parent(store.snapshot(), node=PARENT, signer=FakeSigner())
        one.add_child(CHILD, T0, fx := Effects())
        one.got(CHILD, 1, messages.Hello(session=1, nonce="n", node=CHILD, version="1"), T0, fx)
        try:
            message = codec.decode(b"{%s,%s}" % (fields, odd), codec.UP)
        except RemoteProtocolError:
            continue
        one.got(CHILD, 1, message, T0, fx)
        store.commit(fx.store)
        again = Parent(store.snapshot(), node=PARENT, signer=FakeSigner())
        assert again.view(CHILD).status == message

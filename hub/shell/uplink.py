"""A hub's transport to its parent, and what it trusts up there: the ordinary link of a child."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hub.core import inputs
from hub.shell.finding import seeking
from hub.shell.home import Home, HubFile, Parent
from protocol import messages
from protocol.aio import tls
from protocol.aio.mqtt import MqttLink
from protocol.link.seal import ChildSeal
from protocol.trust import certificates, gaps, signing


class HubTrust(signing.Anchor):
    """protocol.link.events.ChildTrust of a hub: the pinned root above, and the hub's own key for its GAPs."""

    def __init__(self, home: Home, parent: Parent) -> None:
        """Raises OSError or TrustError when its papers cannot be read."""
        super().__init__(home.path("root.pem").read_bytes(), parent.scope)
        self._gaps = gaps.GapSigner(home.path("hub.key").read_bytes())

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        """Return `body` signed with this hub's key."""
        return self._gaps.sign(node, epoch, stream, body)


class Uplink:
    """The way to the parent. What comes from there is put into the core as its inputs.Up*."""

    def __init__(self, home: Home, file: HubFile, parent: Parent, put: Callable[[inputs.Input], None]) -> None:
        self._home, self._file, self._at, self._put = home, file, parent, put
        self.trust = HubTrust(home, parent)
        self._link = MqttLink(
            node=file.id,
            parent=parent.id,
            host=parent.mqtt.host,
            port=parent.mqtt.port,
            context=lambda: tls.child_context(
                chain=home.path("hub.pem"), key=home.path("hub.key"), root=home.path("root.pem"), name=parent.mqtt.name
            ),
            opened=self._opened,
            closed=self._closed,
            got=lambda message: put(inputs.UpGot(message=message)),
            seal=self._seal if parent.mqtt.sealed else None,
        )

    def connect(self, session: int, nonce: str) -> None:
        """Open `session`."""
        self._link.connect(session, nonce)

    def disconnect(self, reason: str) -> None:
        """End the session."""
        self._link.disconnect(reason)

    def send(self, message: messages.AnyMessage) -> None:
        """Hand `message` to the link."""
        self._link.send(self.parent.id, message)

    async def close(self) -> None:
        """End the session and wait until the connection is gone."""
        await self._link.close()

    @property
    def parent(self) -> Parent:
        """Who is above, and where it is; from the next session on, where it is said to be."""
        return self._at

    @parent.setter
    def parent(self, parent: Parent) -> None:
        self._at = parent
        self._link.host, self._link.port = parent.mqtt.host, parent.mqtt.port

    def _opened(self, session: int) -> None:
        self._put(inputs.UpOpened(session=session))
        if not self.parent.mqtt.sealed:  # a broker's names are no hub's
            self.parent = seeking.note_names(self._home, self.parent, self._link.peer_names)

    def _closed(self, session: int, reason: str) -> None:
        self._put(inputs.UpClosed(session=session, reason=reason, turned_away=self._link.turned_away))

    def _seal(self, session: int, nonce: str) -> ChildSeal:
        key = certificates.load_key(self._home.path("hub.key").read_bytes())
        return ChildSeal(
            node=self._file.id,
            parent=self.parent.id,
            session=session,
            nonce=nonce,
            chain=self._home.path("hub.pem").read_text(),
            sign=lambda covered: key.sign(covered, ec.ECDSA(hashes.SHA256())),
            anchor=self.trust,
            secret=secrets.token_bytes(32),
        )

"""Every error that Skerry raises on purpose.

    SkerryError                an operating error: its text says what, where, and what to do next
    ├── BadId                  a name that breaks the grammar of protocol.ids
    ├── TooLarge               bytes or counts beyond a bound of protocol.limits
    ├── LocalProtocolError     we tried to send what the link forbids: our defect
    ├── RemoteProtocolError    the peer sent what the link forbids: its defect, or an attack
    ├── TrustError             a signature, a certificate, a pin or a MAC does not hold
    ├── SpecError              the operator's document has mistakes
    │   └── BadSelector        a selector or a label that breaks the grammar of protocol.selector (`.at`)
    ├── Refused                a request that is understood and turned down
    └── StoreError             the store cannot be opened or written
        ├── StoreNewer         made by a newer version of Skerry
        ├── StoreLocked        another process holds it
        ├── StoreStuck         the disk is full or fails: what may pass
        ├── StoreDamaged       its bytes are not whole
        └── StoreLost          nothing of it can be gone on with: a backup is needed

A broken invariant is not here: it asserts.
"""

UNKNOWN_REQUEST = "unknown-request"
"""The `code` that a hub's API answers to what it does not know: who asks may be of another version."""


class SkerryError(Exception):
    """An operating error; `str(error)` is one clear sentence for a person."""


class BadId(SkerryError):
    """A name that breaks the grammar of protocol.ids."""


class TooLarge(SkerryError):
    """Bytes or counts beyond a bound named in protocol.limits."""


class LocalProtocolError(SkerryError):
    """We tried to send what the link forbids."""


class RemoteProtocolError(SkerryError):
    """The peer sent what the link forbids."""


class TrustError(SkerryError):
    """A signature, a certificate, a pin or a MAC does not hold."""


class SpecError(SkerryError):
    """The operator's document has mistakes; protocol.spec.load names each with its place."""


class BadSelector(SpecError):
    """A selector or a label breaks its grammar; `at` is the 0-based offset in its text."""

    def __init__(self, text: str, at: int) -> None:
        super().__init__(text)
        self.at = at


class Refused(SkerryError):
    """A request that is understood and turned down."""


class StoreError(SkerryError):
    """The store cannot be opened or written."""


class StoreNewer(StoreError):
    """The store was made by a newer version of Skerry."""


class StoreLocked(StoreError):
    """Another process holds the store."""


class StoreStuck(StoreError):
    """The disk is full or fails; it may pass, and nothing but waiting is needed then."""


class StoreDamaged(StoreError):
    """The store's bytes are not whole."""


class StoreLost(StoreError):
    """What is left of the store is not enough to go on with; only a person can help."""

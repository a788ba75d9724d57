"""Which addresses below this hub end in which name: a node id is unique at its own hub alone."""

from __future__ import annotations


class Names:
    """An index from a node's id to its addresses. Most names have one: that is kept as it is, not in a set."""

    def __init__(self) -> None:
        self._one: dict[str, str] = {}
        self._many: dict[str, set[str]] = {}

    def get(self, name: str) -> list[str]:
        """Return the addresses that end in `name`."""
        if name in self._many:
            return list(self._many[name])
        return [self._one[name]] if name in self._one else []

    def put(self, address: str) -> None:
        """Know `address`; harmless when it is known."""
        name = address.rpartition("/")[2]
        known = self.get(name)
        if address in known:
            return
        if not known:
            self._one[name] = address
        else:
            self._one.pop(name, None)
            self._many[name] = {*known, address}

    def drop(self, address: str) -> None:
        """Forget `address`; harmless when it is not known."""
        name = address.rpartition("/")[2]
        known = self.get(name)
        if address not in known:
            return
        known.remove(address)
        self._one.pop(name, None)
        self._many.pop(name, None)
        if len(known) == 1:
            self._one[name] = known[0]
        elif known:
            self._many[name] = set(known)


def which(text: str, paths: list[str]) -> str:
    """Return the sentence for a name that says no single node: `paths` may be meant."""
    several = (
        f"{text[:80]!r} is the name of {len(paths)} nodes" if len(paths) > 1 else f"there is no node {text[:80]!r}"
    )
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return f"{several}: write {'one of ' if len(paths) > 1 else ''}{shown}"

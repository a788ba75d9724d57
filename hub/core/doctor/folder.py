"""From the facts about a hub's directory, and the machine it serves on, to findings."""

from __future__ import annotations

from hub.core.doctor import parent
from hub.core.doctor.facts import Folder, Named, Port
from protocol.doctor import files, papers, stores, ways
from protocol.doctor.facts import File, Key, Paper, Store
from protocol.doctor.findings import Finding, Unseen, judged, ok, problem, warning

_FOLDER_MODE = 0o700
_OPEN_FILES = 4_096  # a hub of two thousand devices, and its API
_RESTORE = "put the whole directory back from one backup"
_RENEW = "skerry hub serve renews it when it starts, and while it serves"
RESTORED = (
    "look at `skerry get nodes`, then skerry hub accept-restore: all go on; or skerry node accept NAME: that one "
    "alone, at once. What was enrolled since the backup is enrolled again (skerry token create, skerry-agent enroll), "
    "what was revoked is revoked again"
)
_RENEW_CA = "the hub above renews it at the next contact; until then all here goes on"
_DAMAGED = (
    "stop the hub and copy the file for a look; put a backup back, or start it: it sets the file aside, saves what can "
    "be read, and what devices still hold comes again; look why (dmesg, power, disk)"
)


def folder(seen: Folder) -> list[Finding]:
    """Return the findings about a hub's directory."""
    if isinstance(seen.named, Unseen):
        return [problem("hub", seen.named.why, seen.named.next), ways.clock("clock", seen.clock, seen.answer)]
    return [
        ok("hub", f"{seen.named.id}, in {seen.data}"),
        judged("folder", seen.folder, lambda one: files.folder("folder", one, seen.user, _FOLDER_MODE)),
        _keys(seen),
        *_papers(seen, seen.named),
        judged("store", seen.store, lambda one: _store(one, seen.named)),
        judged("restore", seen.doubt, _doubt),
        *parent.parent(seen.above),
        judged("set aside", seen.aside, lambda one: files.aside("set aside", one)),
        judged("artifacts", seen.artifacts, _artifacts),
        judged("disk", seen.disk, lambda one: files.disk("disk", one)),
        judged("limits", seen.room, lambda one: files.room("limits", one, _OPEN_FILES)),
        *_serving(seen, seen.named),
        ways.clock("clock", seen.clock, seen.answer, _newest_ms(seen)),
        ways.versions("versions", seen.version, seen.answer),
    ]


def _store(seen: Store, named: Named | Unseen) -> Finding:
    node = "" if isinstance(named, Unseen) else named.id
    return stores.store("store", seen, node, missing=_RESTORE, damaged=_DAMAGED)


def _doubt(reason: str) -> Finding:
    if not reason:
        return ok("restore", "the store goes on from its own past")
    says = f"the store is not the one that it last had ({reason}): nothing new is sent to any device"
    return problem("restore", says, RESTORED)


def _keys(seen: Folder) -> Finding:
    """Judge all keys: the first that is not well stands for them, with how many more."""
    owner = -1 if isinstance(seen.folder, Unseen) else seen.folder.owner

    def judge(key: Key) -> Finding:
        return files.key("keys", key, owner, _RESTORE)

    found = [judged("keys", key, judge) for key in seen.keys.values()]
    bad = [one for one in found if one.next]
    if not bad:
        return ok("keys", f"{', '.join(seen.keys)}: only their owner can read them")
    more = f"; and {len(bad) - 1} more of the keys are not well" if len(bad) > 1 else ""
    return problem("keys", bad[0].says + more, bad[0].next)


def _papers(seen: Folder, named: Named) -> list[Finding]:
    now_ms = seen.clock.now_ms
    tls_key = seen.keys["hub.key"]

    def root(one: Paper) -> Finding:
        key = seen.keys.get("root.key", Unseen(why="", next=""))
        if not isinstance(key, Unseen) and not one.flaw and key.public not in ("", one.public):
            return problem("root", f"{one.path} and root.key are not a pair", _RESTORE)
        return papers.root("root", one, "", now_ms, _RESTORE)

    def ca(one: Paper) -> Finding:
        key = seen.keys["ca.key"]
        return papers.certificate("ca", one, "ca", named.id, key=key, now_ms=now_ms, restore=_RESTORE, renew=_RENEW_CA)

    def tls(one: Paper) -> Finding:
        return papers.certificate(
            "tls", one, "hub", named.id, key=tls_key, now_ms=now_ms, restore=_RESTORE, renew=_RENEW
        )

    def signer(one: Paper) -> Finding:
        if one.flaw:
            return problem("signer", f"{one.path}: {one.flaw}", _RESTORE)
        if (one.role, one.id) != ("signer", named.id):
            return problem("signer", f"{one.path} is of {one.role} {one.id}, not of signer {named.id}", _RESTORE)
        return papers.root("signer", one, "", now_ms, _RESTORE)

    below = [] if seen.ca is None else [judged("ca", seen.ca, ca)]
    own = [judged("tls", seen.tls, tls), judged("signer", seen.signer, signer)]
    return [judged("root", seen.root, root), *below, *own]


def _artifacts(seen: File) -> Finding:
    if not seen.present:
        says = f"{seen.path} is missing: services with an artifact cannot be delivered"
        return problem("artifacts", says, f"{_RESTORE}, or make it anew (mkdir -m 700) and apply again")
    return ok("artifacts", seen.path)


def _serving(seen: Folder, named: Named) -> list[Finding]:
    holder = 0 if isinstance(seen.store, Unseen) else seen.store.holder
    if holder:
        who = f"process {holder}" if holder > 0 else "a process that cannot be seen from here"
        serving = ok("serving", f"{who} has the store open")
    else:
        start = f"skerry hub serve --data {seen.data}, or systemctl start skerry-hub"
        serving = problem("serving", "no hub serves from here; devices go on without it", start, away=True)
    found = [serving, judged("ports", seen.ports, lambda one: _ports(one, holder))]
    if holder:
        found.append(judged("api", seen.answer, lambda one: ways.hub("api", one, named.id, _RESTORE)))
    if seen.broker is not None:
        found.append(judged("broker", seen.broker, lambda one: ways.way("broker", one, named.broker, _BROKER)))
    return found


_BROKER = "give it a certificate of this hub: skerry hub broker --out DIR --listen HOST:PORT; or check its address"


def _ports(seen: list[Port], holder: int) -> Finding:
    for port in seen:
        strangers = [pid for pid in port.pids if pid != holder]
        if port.listening and (not holder or (strangers and holder > 0 and holder not in port.pids)):
            who = f"process {strangers[0]}" if strangers else "another process"
            says = f"{port.where} ({port.what}) is taken by {who}, which is not this hub"
            return problem("ports", says, "end that process, or choose another place in hub.json")
        if holder and not port.listening:
            says = f"nobody listens on {port.where} ({port.what}), though a hub has the store open"
            return warning("ports", says, "does it start just now? else see its log (journalctl -u skerry-hub)")
    where = ", ".join(f"{port.where} ({port.what})" for port in seen)
    return ok("ports", f"{where}: {'held by this hub' if holder else 'free'}")


def _newest_ms(seen: Folder) -> int:
    return 0 if isinstance(seen.store, Unseen) else seen.store.newest_ms

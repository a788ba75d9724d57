"""`skerry hub broker`: a folder with which mosquitto serves a fleet: configuration, ACL, a certificate of its own."""

from __future__ import annotations

import re
import time
from pathlib import Path

from hub.shell.authority import Authority
from hub.shell.home import Home, parse_place
from protocol.aio.upkeep import synced
from protocol.errors import Refused
from protocol.trust import certificates

TEMPLATES = Path(__file__).resolve().parents[3] / "config" / "broker"
_INSTALLED = "/etc/mosquitto/skerry"
_LISTENER = re.compile(r"^listener .*$", re.MULTILINE)


def write(data: Path, out: Path, listen: str) -> str:
    """Write the folder `out` for a broker that listens on `listen` (HOST:PORT); return its URL for `hub serve`.

    Raises Refused when there is no hub in `data` or `out` cannot be written.
    """
    place = parse_place(listen, "--listen")
    home = Home(data)
    hub = home.load()
    keys = Authority(home, hub.id)
    key, certificate = keys.issue_broker(time.time())
    try:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        conf = (TEMPLATES / "mosquitto.conf").read_text().replace(_INSTALLED, str(out.resolve()))
        conf = _LISTENER.sub(f"listener {place.port} {place.host}", conf, count=1)
        synced.write(out / "mosquitto.conf", conf.encode(), 0o644)
        synced.write(out / "skerry.acl", (TEMPLATES / "skerry.acl").read_bytes(), 0o644)
        synced.write(out / "root.pem", home.path("root.pem").read_bytes(), 0o644)
        synced.write(out / "broker.pem", certificate, 0o644)
        synced.write(out / "broker.key", key)
    except OSError as error:
        raise Refused(f"cannot write {out}: {error.strerror or error}; choose another folder with --out") from error
    return f"mqtts://{place.host}:{place.port}?name={certificates.broker_name(keys.scope)}"

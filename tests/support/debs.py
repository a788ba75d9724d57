"""Packages of Debian, made by hand: there may be no dpkg here."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from pathlib import Path

import zstandard


def made(path: Path, version: str, arch: str, kind: str = "xz", name: str = "skerry-agent") -> bytes:
    """Make a package that holds nothing, at `path`; `kind`: how it is compressed. Return its bytes."""
    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w") as archive:
        text = f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nDescription: a\n more: b\n".encode()
        member = tarfile.TarInfo("./control")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    packers = {"": bytes, "xz": lzma.compress, "gz": gzip.compress, "zst": zstandard.compress}
    end = f".{kind}" if kind else ""
    members = {"debian-binary": b"2.0\n", f"control.tar{end}": packers[kind](control.getvalue()), "data.tar": b"odd"}
    raw = b"!<arch>\n"
    for named, body in members.items():
        raw += f"{named:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
    path.write_bytes(raw)
    return raw

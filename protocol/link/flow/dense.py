"""A small message in few bytes, where bytes cost: deflate (zlib) over the words that such messages are made of.

Both ends know the words beforehand, so that a status of three services takes 0.2 KB for 1: its digests and numbers, and
little else. zlib's header names the words by their checksum: bytes made with others are refused, never misread.
zlib is in every process anyway; zstandard, which large messages take, is 1.5 MB that a quiet device never loads.
"""

from __future__ import annotations

import zlib

from protocol import limits
from protocol.errors import RemoteProtocolError, TooLarge

MAGIC = b"\x78"
_WORDS = b"".join(
    (
        b'{"is":"need","session":1,"documents":["sha256:"],"tickets":["sha256:"]}',
        b'{"is":"answer","session":1,"id":"","part":0,"last":true,"data":{}}',
        b'{"is":"hello","session":1,"nonce":"","node":"","version":"0.1.0","labels":{"site":""},"streams":',
        b'{"audit":{"epoch":"","seq":1,"hash":"","before":""},"state":{"epoch":"","seq":1,"hash":"","first":1},',
        b'"metrics":{"epoch":"","seq":0},"logs":{"epoch":"","seq":0}},"held":{"term":1,"generation":1,"digest":"sha256:"},',
        b'"time_ms":17,"contact_s":3600.0}{"is":"entries","session":1,"stream":"audit","epoch":"","prev":1,"rows":[[1,17,',
        b'"desired.applied","",{"generation":1,"term":1}],[1,17,"task.started","",{"id":"","by":"token:admin","command":',
        b'[""]}],[1,17,"task.ended","",{"id":"","state":"ok","exit_code":0,"stdout":"","stderr":"","duration_s":0.0}],[1,17,',
        b'"run.started","",{"id":"","workflow":"","trigger":"cron"}],[1,17,"step.ended","",{"run":"","step":"","attempt":1}],',
        b'[1,17,"service.starting","",{"instance":"s-","digest":"sha256:"}],[1,17,"service.started","",{"instance":"s-",',
        b'"pid":1}],[1,17,"service.exited","",{"instance":"s-","code":1,"after_s":1.0,"error":""}]],"hash":""}',
        b'"workflows":{"":{"digest":"sha256:","next_ms":17,"last":{"id":"","workflow":"","state":"ok","started_ms":17,',
        b'"ended_ms":17,"trigger":"cron"}}},"conditions":[{"what":"","text":"","since_ms":17}],',
        b'"lost":{"metrics":1},{"state":"backoff","digest":"sha256:","healthy":true,"pid":1,"since_ms":17,"restarts":1,',
        b'"last_exit":"code 1"}',
        b'{"is":"status","session":1,"count":1,"held":{"term":1,"generation":1,"digest":"sha256:"},',
        b'"heads":{"audit":1,"state":1,"metrics":0,"logs":0},"time_ms":179,"body":{"services":{"":',
        b'{"state":"running","digest":"sha256:","pid":1,"since_ms":179},"vitals":{"time_ms":179,"cpu":0.0,"memory_used":1,',
        b'"memory_total":1,"disk_used":1,"disk_total":1,"uptime_s":1,"rss":1},"platform":{"arch":"aarch64","cpus":"4",',
        b'"kernel":"6.1.0-amd64","os":"Debian GNU/Linux 12 (bookworm)","python":"3.11.2"}}}',
    )
)
"""What is frequent stands last, for deflate reaches there with fewer bits. Another text is another wire."""


def pack(raw: bytes) -> bytes:
    """Return `raw`, of limits.DENSE_BYTES_MAX at most, in fewer bytes; as it is when none are saved."""
    made = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zdict=_WORDS)
    packed = made.compress(raw) + made.flush()
    return packed if len(packed) < len(raw) else raw


def unpack(payload: bytes) -> bytes:
    """Return what was packed. Raises TooLarge, RemoteProtocolError."""
    made = zlib.decompressobj(zdict=_WORDS)
    try:
        raw = made.decompress(payload, limits.DENSE_BYTES_MAX)
    except zlib.error as error:
        raise RemoteProtocolError(f"a packed message that does not unpack: {error}") from error
    if made.unconsumed_tail:
        raise TooLarge(f"a packed message of more than {limits.DENSE_BYTES_MAX} bytes")
    if not made.eof or made.unused_data:
        raise RemoteProtocolError("a packed message that does not end where its bytes do")
    return raw

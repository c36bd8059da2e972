"""Connections that end for what their second request has in its head, which comes together with the first.

Through `--proxy` to --url, or, with --listener, on streams of the proxy itself. The paths are of each request alone.
"""

from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("listener")
URL = urlsplit(OPTIONS.url)
TARGET = URL.netloc
FAULTS = [("x-nul", b"a\0b"), ("X-Upper", b"1"), ("x-control", b"\x01"), (":unknown", b"1")]


def request(path, *more):
    first = [(":method", "GET"), (":scheme", URL.scheme), (":authority", TARGET), (":path", path)]
    # A pseudo-header has to be before the fields.
    return literal(*first, *more)


def main():
    for number, fault in enumerate(FAULTS):
        wire = Wire(listener(OPTIONS) if OPTIONS.listener else tunnel(OPTIONS, TARGET))
        wire.send(PREFACE, settings())
        wire.wait("ack")
        end = END_HEADERS | END_STREAM
        wire.send(
            frame(HEADERS, end, 1, request(f"/good/{number}")),
            frame(HEADERS, end, 3, request(f"/bad/{number}", fault)),
        )
        wire.wait("closed")
        wire.sock.close()
    return {"faults": len(FAULTS)}


common.main(main)

"""A client that gives no room for content: what it asks for is given up for, stream by stream, and its connection lives."""

from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments()
TARGET = urlsplit(OPTIONS.url).netloc


def main():
    wire = Wire(tunnel(OPTIONS, TARGET))
    wire.send(PREFACE, settings((4, 0)))
    wire.wait("ack")
    # The origin's page, and one of the proxy's own.
    for stream, authority in ((1, TARGET), (3, "other.test")):
        fields = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", "/page")]
        wire.send(wire.head(stream, fields))
    heads, resets = {}, {}
    while len(resets) < 2:
        kind, stream, what = wire.wait("head", "reset")
        if kind == "head":
            heads[stream] = dict(what)[":status"]
        else:
            resets[stream] = what
    wire.send(settings((4, 65535)))
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", TARGET), (":path", "/status/204")]
    wire.send(wire.head(5, fields))
    return {"heads": heads, "resets": resets, "after": shown(wire.wait("head"))}


common.main(main)

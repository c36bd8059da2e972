"""Requests over HTTP/2 that are answered before their content has come: nothing is reset that may still be on its way.

Through `--proxy` to --url, or, with --listener, on streams of the proxy itself. Says which status came, and how much content
was read behind it.
"""

from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("listener")
URL = urlsplit(OPTIONS.url)
POST = [(":method", "POST"), (":scheme", URL.scheme), (":authority", URL.netloc), (":path", URL.path)]


def answered():
    """A connection whose first stream has its answer and not its content, and the status."""
    wire = Wire(listener(OPTIONS) if OPTIONS.listener else tunnel(OPTIONS, URL.netloc))
    wire.send(PREFACE, settings(), wire.head(1, POST, END_HEADERS))
    while wire.wait("end", "reset", "goaway", "closed")[:2] != ("end", 1):
        pass
    return wire, next(shown(event) for event in wire.seen if event[0] == "head")


def resets(wire):
    """Those among all that the proxy had to say by now."""
    for _ in range(3):
        if wire.try_send(frame(PING, 0, 0, b"whatever")) and wire.wait("pong", "closed")[0] == "closed":
            break
    return [event for event in wire.seen if event[0] == "reset"]


def little():
    """Content that comes late is taken, and the stream ends as any other."""
    wire, status = answered()
    assert resets(wire) == [], wire.seen
    wire.send(frame(DATA, 0, 1, b"12"), frame(DATA, END_STREAM, 1, b"34"))
    assert resets(wire) == [], wire.seen
    return status


def much():
    """Content without an end is not read for ever."""
    wire, status = answered()
    sent, piece = 0, bytes(16384)
    while True:
        given = [next(event[2] for event in wire.seen if event[0] == "settings")[4], 65535]
        for kind, stream, what in wire.seen:
            if kind == "room":
                given[0 if stream else 1] += what
        if min(given) - sent >= len(piece):
            wire.send(frame(DATA, 0, 1, piece))
            sent += len(piece)
        elif (event := wire.wait("room", "reset", "goaway", "closed"))[0] == "reset":
            assert event == ("reset", 1, "NO_ERROR"), event
            return {"status": status, "sent": sent}


def silent():
    """Nor is content waited for that does not come."""
    wire, status = answered()
    event = wire.wait("reset", "closed")
    assert event == ("reset", 1, "NO_ERROR"), event
    return status


common.main(lambda: {"little": little(), "much": much(), "silent": silent()})

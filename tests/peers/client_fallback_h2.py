"""A client that says and hears over HTTP/2 what few libraries take, through `--proxy` to --url (origin_odd_h2.py)."""

from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("mode")
TARGET = urlsplit(OPTIONS.url).netloc
BOTH = ("h2", "http/1.1")


def request(path, method="GET", more=()):
    return [(":method", method), (":scheme", "https"), (":authority", TARGET), (":path", path), *more]


def begun(*args, **kwargs):
    wire = Wire(tunnel(OPTIONS, TARGET, *args, **kwargs))
    wire.send(PREFACE, settings())
    wire.wait("ack")
    wire.seen.clear()
    return wire


def ends(wire, streams):
    """What these streams came to, with what the proxy said of it."""
    came = {}
    for event in wire.events():
        kind, stream, what = event
        if kind == "head" and not dict(what)[":status"].startswith("1"):
            came[stream] = {"status": dict(what)[":status"], "said": dict(what).get("proxy-status", "")}
        if kind == "reset":
            came.setdefault(stream, {})["reset"] = what
        if kind in ("reset", "end"):
            streams = streams - {stream}
        if kind in ("goaway", "closed"):
            came.setdefault("connection", []).append(what)
        if not streams or kind == "closed":
            return came


def origin():
    """The origin says it: to a client of both protocols, and to one of HTTP/2 alone."""
    found = {}
    for name, offers in (("both", BOTH), ("h2", ("h2",))):
        # The memory that the one before has left is for clients of both.
        wire = begun(offers)
        wire.send(
            wire.head(1, request("/held?after=9")),
            wire.head(3, request("/upload?after=9", "POST"), END_HEADERS),
            wire.head(5, request("/cookie?after=2")),
        )
        found[name] = ends(wire, {1, 3, 5})
        wire.sock.close()
    found["then"] = tunnel(OPTIONS, TARGET, BOTH).selected_alpn_protocol()
    return found


def other():
    """It comes on one of two connections; the other one is asked afterwards."""
    first, second = begun(BOTH), begun(BOTH)
    first.send(first.head(1, request("/cookie")))
    found = {"first": ends(first, {1})}
    second.send(second.head(1, request("/upload", "POST"), END_HEADERS))
    found["second"] = ends(second, {1})
    return found


def late():
    """It comes in what an exchange does not begin with."""
    found = {}
    for path in ("/early", "/trailers"):
        wire = begun()
        wire.send(wire.head(1, request(path)))
        found[path] = ends(wire, {1})
        wire.sock.close()
    found["then"] = tunnel(OPTIONS, TARGET, BOTH).selected_alpn_protocol()
    return found


def client():
    """The client says it, in a request, and then comes again."""
    cookie = ("cookie", b"visit=dmo\x01OZ")
    found = {}
    wire = begun(BOTH)
    wire.send(wire.head(1, request("/held?after=9")))
    # That one has been looked at when one behind it is answered.
    wire.send(wire.head(3, request("/plain")))
    assert shown(wire.wait("head")) == "status 200"
    wire.send(wire.head(5, request("/back", more=[cookie])))
    found["connection"] = wire.wait("goaway", "closed")[2]
    wire.sock.close()
    again = tunnel(OPTIONS, TARGET, BOTH)
    found["then"] = again.selected_alpn_protocol()
    if found["then"] == "http/1.1":
        head = f"GET /back HTTP/1.1\r\nHost: {TARGET}\r\nCookie: ".encode()
        again.sendall(head + cookie[1] + b"\r\n\r\n")
        found["answer"] = again.recv(65536).split(b"\r\n")[0].decode()
    # Nobody else is the worse for it.
    found["another"] = tunnel(OPTIONS, TARGET, BOTH, source="127.0.0.2").selected_alpn_protocol()
    return found


common.main({"origin": origin, "other": other, "late": late, "client": client}[OPTIONS.mode])

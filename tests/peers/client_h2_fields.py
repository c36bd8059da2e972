"""Requests over HTTP/2 to the proxy's own listener, field by field as `--file` has them, each on a connection of its own.

Tells for each what became of it, and of the plain request behind it: a status, `reset CODE`, `goaway CODE` or `closed`.
"""

import json
import socket
from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("file")
PROXY = urlsplit(OPTIONS.proxy)


def connect():
    sock = socket.create_connection((PROXY.hostname, PROXY.port), TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = common.client_tls(OPTIONS)
    context.set_alpn_protocols(["h2"])
    tls = context.wrap_socket(sock, server_hostname=PROXY.hostname)
    assert tls.selected_alpn_protocol() == "h2", tls.selected_alpn_protocol()
    return tls


def outcome(wire, stream):
    """What becomes of a stream."""
    status = None
    for event in wire.events():
        kind, where, what = event
        if kind in ("goaway", "closed") or (kind == "reset" and where == stream):
            # A reset behind an answer says that nothing more need be sent.
            return status if status and kind == "reset" else shown(event)
        if where == stream and kind == "head" and not dict(what)[":status"].startswith("1"):
            status = shown(event)
        if where == stream and kind == "end":
            return status
    return "closed"


def told(case):
    wire = Wire(connect())
    port = wire.sock.getsockname()[1]
    wire.send(PREFACE, settings())
    wire.wait("ack")
    host = case["host"].encode()
    fields = [tuple(map(bytes.fromhex, field)) for field in case["fields"]]
    own = {name for name, _ in fields}
    usual = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", host), (b":path", b"/f")]
    fields = [field for field in usual if field[0] not in own] + fields
    body = bytes.fromhex(case["body"])
    pieces = [wire.head(1, fields, END_HEADERS if body else END_HEADERS | END_STREAM)]
    if body:
        pieces.append(frame(DATA, END_STREAM, 1, body))
    found = {"port": port, "next": None}
    wire.try_send(*pieces)
    found["first"] = outcome(wire, 1)
    if not found["first"].startswith(("goaway", "closed")):
        head = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", host), (b":path", b"/next")]
        wire.try_send(wire.head(3, head))
        found["next"] = outcome(wire, 3)
    wire.sock.close()
    return found


with open(OPTIONS.file) as lines:
    for line in lines:
        common.say(**told(json.loads(line)))

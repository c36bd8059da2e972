"""A client of HTTP/2 that fills every window with DATA frames of one byte, towards an origin that gives no room for any of
it. Says when all is sent, and stays until it is told to end."""

import socket
import sys
import threading

import common
from h2raw import *

OPTIONS = common.arguments("mode", "streams")
CONNECT_PROTOCOL, WINDOW = 8, 4


def origin(sock):
    """Accepts what it is asked, and lets nothing in."""
    wire = Wire(sock)
    wire.exactly(len(PREFACE))
    wire.send(settings((WINDOW, 0), (CONNECT_PROTOCOL, 1)))
    for kind, stream, fields in wire.events():
        if kind == "head" and dict(fields).get(":protocol"):
            wire.send(wire.head(stream, [(":status", "200")], END_HEADERS))


def serve(listener, context):
    while True:
        sock, _ = listener.accept()
        sock = context.wrap_socket(sock, server_side=True)
        threading.Thread(target=origin, args=(sock,), daemon=True).start()


def fields(target, mode):
    if mode == "websocket":
        return [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":authority", target),
            (":path", "/"),
            ("sec-websocket-version", "13"),
        ]
    return [(":method", "POST"), (":scheme", "https"), (":authority", target), (":path", "/")]


def main():
    context = common.server_tls(OPTIONS, ("h2",))
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    threading.Thread(target=serve, args=(listener, context), daemon=True).start()
    target = f"origin.test:{listener.getsockname()[1]}"

    wire = Wire(tunnel(OPTIONS, target))
    wire.send(PREFACE, settings())
    window = dict(wire.wait("settings")[2])[WINDOW]
    streams = [1 + 2 * at for at in range(int(OPTIONS.streams))]
    for stream in streams:
        wire.send(wire.head(stream, fields(target, OPTIONS.mode), END_HEADERS))
        if OPTIONS.mode == "websocket":
            assert shown(wire.wait("head")) == "status 200"
    # One message of binary that never ends, masked with nothing.
    begin = b"\x02\xfe\xff\xff\0\0\0\0"
    frames = 0
    for stream in streams:
        content = begin if OPTIONS.mode == "websocket" else b""
        wire.send(*(frame(DATA, 0, stream, bytes((byte,))) for byte in content))
        left = window - len(content)
        batch = frame(DATA, 0, stream, b"x") * 1000
        for _ in range(left // 1000):
            if not wire.try_send(batch):
                return {"frames": frames, "closed": True}
            frames += 1000
    # A pong says that all of it has been read.
    wire.try_send(frame(PING, 0, 0, bytes(8)))
    common.say(frames=frames, window=window, end=shown(wire.wait("pong", "goaway", "closed")))
    sys.stdin.readline()
    return {"frames": frames}


common.main(main)

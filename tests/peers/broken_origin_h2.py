"""An origin whose connection breaks once it has answered, between two requests of a client that goes on: says after how
many seconds the proxy has closed the origin's socket, while the client's connection still answers."""

import socket
import threading
import time

import common
from h2raw import *

OPTIONS = common.arguments()
LISTENER = socket.create_server(("127.0.0.1", 0))
TARGET = f"origin.test:{LISTENER.getsockname()[1]}"
BREAKS = {
    "DATA on stream 0": frame(DATA, 0, 0, b"x"),
    "a frame that is too long": frame(DATA, 0, 1, bytes(16385)),
    "PUSH_PROMISE": frame(PUSH_PROMISE, END_HEADERS, 1, u32(2)),
}


def run(broken):
    closed, answered = threading.Event(), threading.Event()
    trouble, seconds = [], []

    def serve():
        try:
            raw, _ = LISTENER.accept()
            wire = Wire(common.server_tls(OPTIONS, ("h2",)).wrap_socket(raw, server_side=True))
            assert wire.exactly(len(PREFACE)) == PREFACE
            wire.send(settings())
            stream = wire.wait("head")[1]
            wire.send(wire.head(stream, [(":status", "204")]))
            assert answered.wait(TIMEOUT)
            begun = time.monotonic()
            wire.send(broken)
            wire.wait("closed")
            seconds.append(time.monotonic() - begun)
        except Exception as error:
            trouble.append(f"{type(error).__name__}: {error}")
        closed.set()

    threading.Thread(target=serve, daemon=True).start()
    wire = Wire(tunnel(OPTIONS, TARGET))
    wire.send(PREFACE, settings())
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", TARGET), (":path", "/")]
    wire.send(wire.head(1, fields))
    wire.wait("end")
    answered.set()
    assert closed.wait(TIMEOUT), "the origin's socket is open"
    assert not trouble, trouble
    # It has not answered the proxy's own PING: its end of the connection is still to come.
    wire.send(frame(PING, 0, 0, b"anybody?"))
    while wire.wait("pong")[2] != b"anybody?":
        pass
    assert ("goaway", 0, "NO_ERROR") in wire.seen, wire.seen
    wire.sock.close()
    return seconds[0]


common.main(lambda: {name: run(broken) for name, broken in BREAKS.items()})

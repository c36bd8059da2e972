"""Both ends of one HTTP/2 connection through `--proxy`: requests that come in one write, answered in one write.

Tells how many records of TLS the proxy makes of them for the origin, and for the client.
"""

import socket
import threading

import common
from h2raw import *

OPTIONS = common.arguments()
LISTENER = socket.create_server(("127.0.0.1", 0))
TARGET = f"origin.test:{LISTENER.getsockname()[1]}"
CONTEXT = common.server_tls(OPTIONS, ("h2",))
STREAMS = range(1, 51, 2)
CONTENT = bytes(1024)


def message(wire, stream, fields):
    return wire.head(stream, fields, END_HEADERS) + frame(DATA, END_STREAM, stream, CONTENT)


def received(wire):
    """How many records it takes until every stream has ended."""
    before, ended = wire.records, 0
    while ended < len(STREAMS):
        wire.wait("end")
        ended += 1
    return wire.records - before


def serve(found):
    sock, _ = LISTENER.accept()
    wire = Wire(CONTEXT.wrap_socket(sock, server_side=True))
    wire.exactly(len(PREFACE))
    wire.send(settings())
    wire.wait("ack")
    found["to_origin"] = received(wire)
    wire.send(*(message(wire, stream, [(":status", "200")]) for stream in STREAMS))
    for _ in wire.events():
        pass


def main():
    found = {}
    origin = threading.Thread(target=serve, args=(found,), daemon=True)
    origin.start()
    wire = Wire(tunnel(OPTIONS, TARGET))
    wire.send(PREFACE, settings())
    wire.wait("ack")
    head = [(":method", "POST"), (":scheme", "https"), (":authority", TARGET), (":path", "/")]
    wire.send(*(message(wire, stream, head) for stream in STREAMS))
    found["to_client"] = received(wire)
    answered = [event for event in wire.seen if event[0] == "data" and event[2] == CONTENT]
    found["answered"] = len(answered)
    wire.sock.close()
    origin.join(TIMEOUT)
    return found


common.main(main)

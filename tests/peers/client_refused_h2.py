"""Requests that end their stream alone: each comes between two requests of its connection that are answered all the same.

Through `--proxy` to --url, or, with --listener, on streams of the proxy itself. --silent is a path that answers nothing
before it has had a whole request. Says what became of each case.
"""

from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("listener", "silent")
URL = urlsplit(OPTIONS.url)
TARGET = URL.netloc
PLAIN = [(":method", "GET"), (":scheme", URL.scheme), (":authority", TARGET), (":path", "/refused")]


def without(name):
    return [field for field in PLAIN if field[0] != name]


def with_path(path):
    return [*without(":path"), (":path", path)]


HEADS = {
    "no :method": without(":method"),
    "no :path": without(":path"),
    "no :scheme": without(":scheme"),
    ":path twice": [*PLAIN, (":path", "/")],
    "a field before :path": [*PLAIN[:3], ("x-first", "1"), (":path", "/refused")],
    ":status": [(":status", "200"), *PLAIN],
    "connection": [*PLAIN, ("connection", "close")],
    "transfer-encoding": [*PLAIN, ("transfer-encoding", "chunked")],
    "te: gzip": [*PLAIN, ("te", "gzip")],
    "a length without content": [*PLAIN, ("content-length", "9")],
    "a length that is none": [*PLAIN, ("content-length", "1x")],
    "two lengths": [*PLAIN, ("content-length", "0"), ("content-length", "1")],
    "white space in :path": with_path("/refused it"),
    "a :path that is none": with_path("refused"),
    "quotes": with_path('/refused?f={"a":1}'),
    "angle brackets": with_path("/refused<b>"),
}


def other(wire, stream):
    """A request between whose head and whose end another one comes to its own."""
    fields = [(":method", "POST"), *PLAIN[1:3], (":path", "/echo")]
    wire.send(wire.head(stream, fields, END_HEADERS))


# Content that is not what its head says: the head goes on, and the origin never has a whole request.
BODIES = {
    "content below its length": ([("content-length", "9")], [b"1234"]),
    "content above its length": ([("content-length", "3")], [b"12", b"34"]),
    "trailers with connection": ([], [b"12", literal(("connection", b"close"))]),
    "trailers without an end": ([], [b"12", literal(("x-sum", b"1"))]),
}


def body(wire, stream, name):
    more, pieces = BODIES[name]
    fields = [(":method", "POST"), *PLAIN[1:3], (":path", OPTIONS.silent), *more]
    wire.send(frame(HEADERS, END_HEADERS, stream, literal(*fields)))
    *first, last = pieces
    wire.send(*[frame(DATA, 0, stream, piece) for piece in first])
    if "trailers" in name:
        end = 0 if "without" in name else END_STREAM
        wire.send(frame(HEADERS, END_HEADERS | end, stream, last))
    else:
        wire.send(frame(DATA, END_STREAM, stream, last))


def large(wire, stream):
    """A head that is larger than it may be is answered."""
    other(wire, stream)
    block = wire.encoder.encode([*PLAIN, *[(f"x-{n}", "y" * 4000) for n in range(30)]])
    pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    wire.send(frame(HEADERS, END_STREAM, stream + 2, pieces[0]))
    wire.send(*[frame(CONTINUATION, 0, stream + 2, piece) for piece in pieces[1:-1]])
    wire.send(frame(CONTINUATION, END_HEADERS, stream + 2, pieces[-1]))
    while (event := wire.wait("head"))[1] != stream + 2:
        pass
    wire.send(frame(DATA, END_STREAM, stream, b"still here"))
    while wire.wait("end")[1] != stream:
        pass
    return shown(event)


def main():
    wire = Wire(listener(OPTIONS) if OPTIONS.listener else tunnel(OPTIONS, TARGET))
    wire.send(PREFACE, settings())
    wire.wait("ack")
    found, stream = {}, 1
    for name in [*HEADS, *BODIES]:
        other(wire, stream)
        if name in HEADS:
            wire.send(frame(HEADERS, END_HEADERS | END_STREAM, stream + 2, literal(*HEADS[name])))
        else:
            body(wire, stream + 2, name)
        found[name] = wire.wait("reset", "goaway", "closed")
        assert found[name][:2] == ("reset", stream + 2), (name, found[name])
        wire.send(frame(DATA, END_STREAM, stream, b"still here"))
        while wire.wait("end")[1] != stream:
            pass
        head = next(event for event in wire.seen if event[0] == "head" and event[1] == stream)
        content = b"".join(event[2] for event in wire.seen if event[:2] == ("data", stream))
        assert (shown(head), content) == ("status 200", b"still here"), (name, head, content)
        found[name] = found[name][2]
        stream += 4
    found["large"] = large(wire, stream)
    wire.sock.close()
    return {"found": found}


common.main(main)

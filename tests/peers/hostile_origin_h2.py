"""An origin that breaks the rules of RFC 9113, frame by frame, and an honest client that asks it through `--proxy`.

Each case has a connection of its own, and says by section what the client has to be told: any one of what it lists.
--case runs those alone whose name has it. --pid is the proxy's.
"""

import os
import socket
import threading
from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("case", "pid")
CASES = {}
LISTENER = socket.create_server(("127.0.0.1", 0))
TARGET = f"origin.test:{LISTENER.getsockname()[1]}"
CONTEXT = common.server_tls(OPTIONS, ("h2",))

# What a client is told when an origin breaks off without a response (RFC 9110 section 15.6.3).
BAD = ("status 502",)
# The same after the response has begun, or where the stream alone is broken.
RESET = ("reset PROTOCOL_ERROR", "reset INTERNAL_ERROR", "reset STREAM_CLOSED", "reset FLOW_CONTROL_ERROR", "reset FRAME_SIZE_ERROR")
OK = ("status 200",)


def case(name, *expected, ask=1):
    """`act(wire, streams)` is the origin once it has had `ask` requests; with 0 it does everything by itself."""

    def keep(act):
        assert name not in CASES, name
        CASES[name] = (act, expected, ask)
        return act

    return keep


def bad(name, make, *more):
    """The origin answers with this and nothing else."""
    case(name, *BAD, *RESET, *more)(lambda wire, stream: wire.try_send(make(wire, stream)))


def head(wire, stream, flags=END_HEADERS, more=()):
    return wire.head(stream, [(":status", "200"), *more], flags)


# The greeting (section 3.4).
@case("3.4 nothing but silence, then the end", *BAD, ask=0)
def _(wire, _):
    wire.exactly(len(PREFACE))


@case("3.4 HTTP/1.1 in the place of HTTP/2", *BAD, ask=0)
def _(wire, _):
    wire.exactly(len(PREFACE))
    wire.try_send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    wire.exactly(1 << 30)


@case("3.4 GOAWAY in the place of SETTINGS", *BAD, ask=0)
def _(wire, _):
    wire.exactly(len(PREFACE))
    wire.try_send(frame(GOAWAY, 0, 0, u32(0) + u32(11)))


@case("3.4 no SETTINGS for 10 s", *BAD, ask=0)
def _(wire, _):
    wire.exactly(1 << 30)


def hears(wire, code):
    """The proxy says why it closes the connection (section 5.4.1)."""
    found = wire.wait("goaway")
    assert found[2] == code, found


@case("3.4 a first frame that is not SETTINGS", *BAD, ask=0)
def _(wire, _):
    wire.exactly(len(PREFACE))
    wire.try_send(frame(PING, 0, 0, bytes(8)), settings())
    hears(wire, "PROTOCOL_ERROR")


@case("6.5.2 ENABLE_PUSH of 1 at first", *BAD, ask=0)
def _(wire, _):
    greet(wire, (1, 4096), (2, 1))
    hears(wire, "PROTOCOL_ERROR")


@case("6.5.2 ENABLE_PUSH of 1 under way", *BAD)
def _(wire, stream):
    wire.try_send(settings((2, 0)), settings((2, 1)), head(wire, stream, 5))
    hears(wire, "PROTOCOL_ERROR")


# Frames that break the connection (sections 4 to 6).
bad("4.2 a frame that is too long", lambda wire, stream: frame(DATA, 0, stream, bytes(16385)))
bad("4.3 an index that does not exist", lambda wire, stream: frame(HEADERS, 5, stream, b"\xff\x80\x01"))
bad("4.3 a frame inside a header block", lambda wire, stream: head(wire, stream, 0) + frame(PING, 0, 0, bytes(8)))
bad("5.1 DATA on an idle stream", lambda wire, stream: frame(DATA, 0, stream + 2, b"x"))
bad("5.1 DATA before HEADERS", lambda wire, stream: frame(DATA, END_STREAM, stream, b"x"))
bad("5.1 HEADERS on a stream that the proxy has not opened", lambda wire, stream: head(wire, stream + 10))
bad("6.1 DATA on stream 0", lambda wire, stream: frame(DATA, 0, 0, b"x"))
bad("6.1 padding longer than DATA", lambda wire, stream: head(wire, stream) + frame(DATA, PADDED, stream, b"\x09x"), *OK)
bad("6.2 HEADERS on stream 0", lambda wire, stream: frame(HEADERS, 5, 0, b"\x88"))
bad("6.4 RST_STREAM on stream 0", lambda wire, stream: frame(RST_STREAM, 0, 0, bytes(4)))
bad("6.5 SETTINGS of 5 bytes", lambda wire, stream: frame(SETTINGS, 0, 0, bytes(5)))
bad("6.5.2 INITIAL_WINDOW_SIZE above 2^31-1", lambda wire, stream: settings((4, 1 << 31)))
bad("6.6 PUSH_PROMISE that was forbidden", lambda wire, stream: frame(PUSH_PROMISE, 4, stream, u32(2) + b"\x82\x87\x84"))
bad("6.7 PING of 7 bytes", lambda wire, stream: frame(PING, 0, 0, bytes(7)))
bad("6.9 WINDOW_UPDATE of 0", lambda wire, stream: frame(WINDOW_UPDATE, 0, 0, u32(0)))
bad("6.9.1 a window above 2^31-1", lambda wire, stream: frame(WINDOW_UPDATE, 0, 0, u32((1 << 31) - 1)))
bad("6.10 CONTINUATION on stream 0", lambda wire, stream: frame(CONTINUATION, 4, 0, b"\x88"))


# Messages (section 8).
def malformed(name, *fields):
    bad(f"8 {name}", lambda wire, stream: wire.head(stream, fields))


malformed("no :status", ("x-first", "1"))
malformed(":status twice", (":status", "200"), (":status", "200"))
malformed("a :status that is none", (":status", "20"))
malformed("101, which HTTP/2 does not have", (":status", "101"))
malformed("a pseudo-header after a field", ("x-first", "1"), (":status", "200"))
malformed("a name in upper case", (":status", "200"), ("X-Upper", "1"))
malformed("connection", (":status", "200"), ("connection", "close"))
malformed("transfer-encoding", (":status", "200"), ("transfer-encoding", "chunked"))
malformed("a value with CR and LF", (":status", "200"), ("x-split", "1\r\nset-cookie: a=b"))
malformed("an interim response with END_STREAM", (":status", "103"))
malformed("a header list above the limit", (":status", "200"), *[("x-long", "y" * 4000)] * 30)
malformed("content-length without DATA", (":status", "200"), ("content-length", "5"))


@case("8 content-length below the DATA", "reset PROTOCOL_ERROR", "reset INTERNAL_ERROR", *BAD)
def _(wire, stream):
    wire.try_send(head(wire, stream, more=[("content-length", "2")]), frame(DATA, END_STREAM, stream, b"12345"))


@case("8 content-length above the DATA", "reset PROTOCOL_ERROR", "reset INTERNAL_ERROR", *BAD)
def _(wire, stream):
    wire.try_send(head(wire, stream, more=[("content-length", "9")]), frame(DATA, END_STREAM, stream, b"12345"))


@case("8.1 a response whole before the request, and NO_ERROR", *OK)
def _(wire, stream):
    wire.try_send(head(wire, stream, END_HEADERS | END_STREAM), frame(RST_STREAM, 0, stream, u32(0)))


@case("8.3 a request's pseudo-headers in a response", *OK)
def _(wire, stream):
    # The `h2` crate leaves them out: see run().
    wire.try_send(wire.head(stream, [(":path", "/"), (":status", "200"), (":method", "GET")]))


# Forbidden by section 8.2.1, but origins send it and clients take it: it goes on as it is.
SPACED = " \tx "


@case("8.2.1 a value with white space around it", *OK)
def _(wire, stream):
    wire.try_send(head(wire, stream, 5, [("x-spaced", SPACED)]))


# The end of the connection.
@case("6.8 GOAWAY that disowns the request", "reset REFUSED_STREAM")
def _(wire, stream):
    wire.try_send(frame(GOAWAY, 0, 0, u32(0) + u32(0)))


@case("6.8 GOAWAY that keeps the request", *OK)
def _(wire, stream):
    wire.try_send(frame(GOAWAY, 0, 0, u32(stream) + u32(0)), head(wire, stream, END_HEADERS | END_STREAM))


@case("9.1 the end without GOAWAY, before the response", *BAD)
def _(wire, stream):
    wire.sock.unwrap().close()


@case("9.1 TLS cut off before the response", *BAD)
def _(wire, stream):
    os.close(wire.sock.detach())


def broken(name, act):
    @case(name, "reset INTERNAL_ERROR", "reset CANCEL", "goaway INTERNAL_ERROR")
    def _(wire, stream):
        wire.try_send(head(wire, stream), frame(DATA, 0, stream, b"begun"))
        act(wire)


broken("9.1 the end without GOAWAY, in the content", lambda wire: wire.sock.unwrap().close())
broken("9.1 TLS cut off in the content", lambda wire: os.close(wire.sock.detach()))


# What an origin may do.
@case("6.5.2 unknown settings and frames", *OK)
def _(wire, stream):
    wire.try_send(settings((0x99, 1)), frame(0x16, 7, 0, b"x"), frame(0x16, 7, stream), head(wire, stream, 5))


@case("6.9.2 INITIAL_WINDOW_SIZE lowered under an upload", *OK, ask=0)
def _(wire, _):
    """The origin counts what it has allowed."""
    greet(wire)
    stream = asked(wire)
    came = 0
    while came < 65535:
        came += len(until_data(wire))
    assert came == 65535, came
    wire.send(settings((4, 100)), frame(WINDOW_UPDATE, 0, 0, u32(1 << 20)))
    wire.wait("ack")
    # 65435 below zero: this gives it 50.
    wire.send(frame(WINDOW_UPDATE, 0, stream, u32(65485)))
    more = 0
    while more < 50:
        more += len(until_data(wire))
    wire.send(frame(PING, 0, 0, b"no more!"))
    assert wire.wait("data", "pong")[0] == "pong" and more == 50, more
    wire.send(settings((4, 1 << 20)))
    total = came + more
    for event in wire.events():
        if event[0] == "data":
            total += len(event[2])
        if event[0] == "end":
            break
    assert total == UPLOAD, total
    wire.send(head(wire, stream, 5))


@case("6.9.1 a stream's window above 2^31-1 under an upload", "reset FLOW_CONTROL_ERROR", *BAD, ask=0)
def _(wire, _):
    greet(wire)
    stream = asked(wire)
    # The first is allowed where all of the window has been used.
    wire.send(frame(WINDOW_UPDATE, 0, stream, u32((1 << 31) - 1)) * 2)
    found = wire.wait("reset", "goaway")
    assert found[2] == "FLOW_CONTROL_ERROR", found


# Less than the window of a stream of the proxy's: the client may send it all at once.
UPLOAD = 250_000


def until_data(wire):
    return wire.wait("data")[2]


def greet(wire, *pairs):
    assert wire.exactly(len(PREFACE)) == PREFACE
    wire.send(settings(*pairs))


def asked(wire):
    return wire.wait("head")[1]


@case("6.5.2 MAX_CONCURRENT_STREAMS lowered under the requests", "20 answers", ask=0)
def _(wire, _):
    greet(wire, (3, 10))
    first = [asked(wire) for _ in range(10)]
    wire.send(settings((3, 2)))
    wire.wait("ack")
    for stream in first:
        wire.send(head(wire, stream, 5))
    open_streams, done = [], 0
    while done < 10:
        # Two at most at once: the third comes when one has ended.
        open_streams.append(asked(wire))
        if len(open_streams) == 2 or done + len(open_streams) == 10:
            wire.send(frame(PING, 0, 0, b"no third"))
            assert wire.wait("head", "pong")[0] == "pong"
            for stream in open_streams:
                wire.send(head(wire, stream, 5))
            done += len(open_streams)
            open_streams = []


@case("6.5.2 MAX_CONCURRENT_STREAMS of 0 at first", *OK, ask=0)
def _(wire, _):
    greet(wire, (3, 0))
    wire.wait("ack")
    wire.send(settings((3, 5)))
    wire.send(head(wire, asked(wire), 5))


# Floods (section 10.5).
FLOODS = {
    "PING": (lambda wire, stream: frame(PING, 0, 0, bytes(8)), *BAD),
    "SETTINGS": (lambda wire, stream: settings((4, 65535)), *BAD),
    "empty DATA": (lambda wire, stream: frame(DATA, 0, stream), "reset INTERNAL_ERROR"),
    "interim responses": (lambda wire, stream: wire.head(stream, [(":status", "103"), ("link", "</a>")], END_HEADERS), *BAD),
    "CONTINUATION": (lambda wire, stream: frame(CONTINUATION, 0, stream), *BAD),
}


def flood(name, make, told):
    @case(f"10.5 100000 {name}", *told)
    def _(wire, stream):
        if name == "empty DATA":
            wire.try_send(head(wire, stream))
        if name == "CONTINUATION":
            wire.try_send(head(wire, stream, 0))
        batch = b"".join(make(wire, stream) for _ in range(1000))
        for _ in range(100):
            if not wire.try_send(batch):
                return
        last = frame(DATA, END_STREAM, stream) if name == "empty DATA" else head(wire, stream, 5)
        wire.try_send(last)


for name, (make, *told) in FLOODS.items():
    flood(name, make, told)


def serve(name, trouble):
    """The origin's side of one case."""
    act, _, ask = CASES[name]
    try:
        sock, _ = LISTENER.accept()
        wire = Wire(CONTEXT.wrap_socket(sock, server_side=True))
        stream = None
        if ask:
            greet(wire)
            stream = asked(wire)
        act(wire, stream)
        # Held until the proxy has gone, so that the case alone says what ends the connection.
        if ask and wire.sock.fileno() >= 0:
            for _ in wire.events():
                pass
    except (OSError, ValueError):
        # The proxy has had enough of it.
        pass
    except Exception as error:
        trouble.append(f"the origin: {type(error).__name__}: {error}")


def run(name):
    _, expected, _ = CASES[name]
    trouble = []
    origin = threading.Thread(target=serve, args=(name, trouble), daemon=True)
    origin.start()
    wire = Wire(tunnel(OPTIONS, TARGET))
    wire.send(PREFACE, settings((4, 1 << 20)), frame(WINDOW_UPDATE, 0, 0, u32(1 << 20)))
    wire.wait("settings")
    requests = 20 if expected == ("20 answers",) else 1
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", TARGET), (":path", "/case")]
    came = []
    if "upload" in name:
        fields[0] = (":method", "POST")
        wire.send(wire.head(1, fields, END_HEADERS))
        # The proxy's first window for the connection is too small for it.
        wire.wait("room")
        for at in range(0, UPLOAD, 16384):
            size = min(16384, UPLOAD - at)
            wire.send(frame(DATA, END_STREAM if at + size == UPLOAD else 0, 1, bytes(size)))
    else:
        allowed = next((event[2].get(3, 100) for event in wire.seen if event[0] == "settings"), 100)
        for n in range(requests):
            if n < allowed or requests == 1:
                wire.send(wire.head(2 * n + 1, fields))
    sent, answers = min(requests, 10), 0
    for event in heard(wire):
        if event[0] not in ("head", "reset", "goaway", "closed", "end"):
            continue
        text = shown(event)
        if event[0] == "head":
            pseudo = [name for name, _ in event[2] if name.startswith(":")]
            assert pseudo == [":status"], event
            assert "white space" not in name or ("x-spaced", SPACED) in event[2], event
        if text == "status 103":
            continue
        if requests > 1:
            if event[0] == "end":
                answers += 1
                if sent < requests:
                    wire.send(wire.head(2 * sent + 1, fields))
                    sent += 1
            text = f"{answers} answers"
        elif event[0] == "end":
            continue
        came.append(text)
        if text in expected or event[0] == "closed":
            break
    wire.sock.close()
    origin.join(TIMEOUT)
    assert not trouble, trouble
    assert came and came[-1] in expected, f"{came}, expected {expected}"
    return came[-1]


def heard(wire):
    try:
        yield from wire.events()
    except TimeoutError:
        yield ("closed", 0, None)


def peak():
    with open(f"/proc/{OPTIONS.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main():
    found, wrong, cost = {}, {}, {}
    for name in CASES:
        if OPTIONS.case and OPTIONS.case not in name:
            continue
        before = peak()
        try:
            found[name] = run(name)
        except Exception as error:
            wrong[name] = f"{type(error).__name__}: {error}"
        cost[name] = {"memory": peak() - before}
    common.say(found=found, wrong=wrong)
    return {"count": len(found), "wrong": wrong, "cost": cost}


common.main(main)

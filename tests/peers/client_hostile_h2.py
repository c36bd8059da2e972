"""A client that breaks the rules of RFC 9113, frame by frame, through `--proxy` to --url (origin_h2.mjs).

Each case has a connection of its own, and says by section what has to come of it: any one of what it lists. After each,
an ordinary request on another connection is answered. --case runs those alone whose name has it. --pid is the proxy's.
"""

import os
from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("case", "pid")
TARGET = urlsplit(OPTIONS.url).netloc
CASES = {}

# RFC 9113 section 5.4 lets PROTOCOL_ERROR stand for every more specific code, and a connection error for one of a stream.
PROTOCOL = ("goaway PROTOCOL_ERROR",)
SIZE = ("goaway FRAME_SIZE_ERROR", *PROTOCOL)
FLOW = ("goaway FLOW_CONTROL_ERROR", *PROTOCOL)
COMPRESSION = ("goaway COMPRESSION_ERROR", *PROTOCOL)
# RFC 9113 section 8.1.1: a malformed request is a stream error, or is answered with a status of the 400s.
MALFORMED = ("reset PROTOCOL_ERROR", "goaway PROTOCOL_ERROR", "status 400")


def case(name, *expected):
    def keep(act):
        assert name not in CASES, name
        CASES[name] = (act, expected)
        return act

    return keep


def request(path, method="GET", more=()):
    return [(":method", method), (":scheme", "https"), (":authority", TARGET), (":path", path), *more]


def opened(pairs=()):
    """A connection on which both sides have had each other's SETTINGS."""
    wire = Wire(tunnel(OPTIONS, TARGET))
    wire.send(PREFACE, settings(*pairs))
    wire.wait("ack")
    wire.allowed = next(event[2].get(3) for event in wire.seen if event[0] == "settings")
    wire.seen.clear()
    return wire


def simple(section, name, expected, *pieces):
    """A case that is no more than bytes after the greeting."""
    case(f"{section} {name}", *expected)(lambda wire: wire.try_send(*pieces))


# Section 3.4: the preface.
@case("3.4 no preface", "goaway PROTOCOL_ERROR", "closed")
def _(wire):
    wire.try_send(b"GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n")


# As with no preface, nothing of what came goes on.
BEGUN = ("goaway PROTOCOL_ERROR", "closed")


@case("3.4 a first frame that is not SETTINGS", *BEGUN)
def _(wire):
    wire.try_send(PREFACE, wire.head(1, request("/malformed/first")), settings())


@case("3.4 SETTINGS with ACK as the first frame", *BEGUN)
def _(wire):
    wire.try_send(PREFACE, settings(flags=ACK), wire.head(1, request("/malformed/first")))


# Section 4.1: what is unknown is ignored.
def fine(section, name):
    """A case in which a request is answered afterwards."""
    return case(f"{section} {name}", "status 204")


@fine("4.1", "an unknown frame type")
def _(wire):
    wire.send(frame(0x16, 0xFF, 0, b"whatever"), wire.head(1, request("/status/204")), frame(0x16, 0xFF, 1, b"x"))


@fine("4.1", "unknown flags and the reserved bit")
def _(wire):
    head = wire.head(1, request("/status/204"), flags=END_STREAM | END_HEADERS | 0x80 | 0x40 | 0x10)
    wire.send(frame(PING, 0xFE, 0x80000000, b"12345678"), head[:5] + u32(0x80000001) + head[9:])


# Section 4.2: sizes.
case("4.2 DATA above SETTINGS_MAX_FRAME_SIZE", "reset FRAME_SIZE_ERROR", *SIZE)(
    lambda wire: wire.try_send(
        wire.head(1, request("/echo", "POST"), END_HEADERS), frame(DATA, END_STREAM, 1, bytes(16385))
    )
)
case("4.2 HEADERS above SETTINGS_MAX_FRAME_SIZE", *SIZE)(
    lambda wire: wire.try_send(frame(HEADERS, END_STREAM | END_HEADERS, 1, bytes(16385)))
)
case("4.2 a frame that claims 16 MB", *SIZE)(lambda wire: wire.try_send(b"\xff\xff\xff\0\0\0\0\0\1"))

# Section 4.3: compression.
simple("4.3", "an index that does not exist", COMPRESSION, frame(HEADERS, 5, 1, b"\xff\x80\x01"))
simple("4.3", "a table larger than allowed", COMPRESSION, frame(HEADERS, 5, 1, b"\x3f\xe1\xff\x03\x82"))
simple("4.3", "bad Huffman padding", COMPRESSION, frame(HEADERS, 5, 1, b"\x82\x44\x81\x00\x87"))
simple("4.3", "an integer without end", COMPRESSION, frame(HEADERS, 5, 1, b"\xff" * 30))


@case("4.3 a frame of another stream inside a header block", *PROTOCOL)
def _(wire):
    wire.try_send(wire.head(1, request("/malformed/between"), END_STREAM), wire.head(3, request("/malformed/between")))


@case("4.3 an unknown frame inside a header block", *PROTOCOL)
def _(wire):
    block = wire.encoder.encode(request("/malformed/inside"))
    wire.try_send(frame(HEADERS, END_STREAM, 1, block[:5]), frame(0x16, 0, 0), frame(CONTINUATION, 4, 1, block[5:]))


# Section 5.1: states.
for name, piece in {
    "DATA": frame(DATA, 0, 1, b"x"),
    "RST_STREAM": frame(RST_STREAM, 0, 1, u32(8)),
    "WINDOW_UPDATE": frame(WINDOW_UPDATE, 0, 1, u32(8)),
    "CONTINUATION": frame(CONTINUATION, 4, 1, b"\x82"),
}.items():
    simple("5.1", f"{name} on an idle stream", PROTOCOL, piece)

CLOSED = ("reset STREAM_CLOSED", "goaway STREAM_CLOSED", *PROTOCOL)


@case("5.1 DATA on a half-closed stream", *CLOSED)
def _(wire):
    wire.try_send(wire.head(1, request("/silent")), frame(DATA, END_STREAM, 1, b"late"))


@case("5.1 HEADERS on a half-closed stream", *CLOSED, "reset PROTOCOL_ERROR")
def _(wire):
    wire.try_send(wire.head(1, request("/silent")), wire.head(1, [("x-late", "1")]))


@case("5.1 DATA on a stream that the client reset", *CLOSED)
def _(wire):
    wire.try_send(
        wire.head(1, request("/silent", "POST"), END_HEADERS),
        frame(RST_STREAM, 0, 1, u32(8)),
        frame(DATA, END_STREAM, 1, b"late"),
    )


@case("5.1 HEADERS on a closed stream", *CLOSED)
def _(wire):
    wire.try_send(wire.head(1, request("/status/204")))
    wire.wait("end")
    wire.seen.clear()
    wire.try_send(wire.head(1, request("/malformed/again")))


@case("5.1.1 a stream with an even number", *PROTOCOL)
def _(wire):
    wire.try_send(wire.head(2, request("/malformed/even")))


@case("5.1.1 a number lower than the last", *CLOSED)
def _(wire):
    wire.try_send(wire.head(5, request("/silent")), wire.head(3, request("/malformed/lower")))


@case("5.1.2 one stream more than allowed", "reset REFUSED_STREAM", "reset PROTOCOL_ERROR")
def _(wire):
    # The greeting says 50, as the origin does.
    assert wire.allowed == 50, wire.allowed
    wire.send(*[wire.head(2 * n + 1, request("/silent")) for n in range(51)])
    assert wire.wait("reset")[1] == 101


# Section 6: frame by frame.
simple("6.1", "DATA on stream 0", PROTOCOL, frame(DATA, 0, 0, b"x"))


@case("6.1 padding longer than DATA", *PROTOCOL)
def _(wire):
    wire.try_send(wire.head(1, request("/silent", "POST"), END_HEADERS), frame(DATA, PADDED, 1, b"\x09short"))


@fine("6.1", "padded DATA")
def _(wire):
    body = [frame(DATA, PADDED, 1, bytes((200,)) + b"x" + bytes(200)) for _ in range(1000)]
    wire.send(wire.head(1, request("/count", "POST"), END_HEADERS), *body, frame(DATA, END_STREAM | PADDED, 1, b"\0"))
    count = b"".join(event[2] for event in until_end(wire, 1) if event[0] == "data")
    assert count == b"1000", count
    wire.send(wire.head(3, request("/status/204")))


simple("6.2", "HEADERS on stream 0", PROTOCOL, frame(HEADERS, 5, 0, b"\x82"))
simple("6.2", "padding longer than HEADERS", PROTOCOL, frame(HEADERS, 5 | PADDED, 1, b"\x20\x82"))
simple("6.3", "PRIORITY on stream 0", PROTOCOL, frame(PRIORITY, 0, 0, bytes(5)))
simple("6.3", "PRIORITY of 4 bytes", ("reset FRAME_SIZE_ERROR", *SIZE), frame(PRIORITY, 0, 1, bytes(4)))
simple("6.4", "RST_STREAM on stream 0", PROTOCOL, frame(RST_STREAM, 0, 0, bytes(4)))


@case("6.4 RST_STREAM of 3 bytes", *SIZE)
def _(wire):
    wire.try_send(wire.head(1, request("/silent")), frame(RST_STREAM, 0, 1, bytes(3)))


simple("6.5", "SETTINGS with ACK and content", SIZE, frame(SETTINGS, ACK, 0, bytes(6)))
simple("6.5", "SETTINGS on a stream", PROTOCOL, frame(SETTINGS, 0, 1))
simple("6.5", "SETTINGS of 5 bytes", SIZE, frame(SETTINGS, 0, 0, bytes(5)))
simple("6.5.2", "ENABLE_PUSH of 2", PROTOCOL, settings((2, 2)))
simple("6.5.2", "INITIAL_WINDOW_SIZE above 2^31-1", FLOW, settings((4, 1 << 31)))
simple("6.5.2", "MAX_FRAME_SIZE of 16383", PROTOCOL, settings((5, 16383)))
simple("6.5.2", "MAX_FRAME_SIZE of 2^24", PROTOCOL, settings((5, 1 << 24)))
simple("6.5.2", "ENABLE_CONNECT_PROTOCOL of 2 (RFC 8441 section 3)", PROTOCOL, settings((8, 2)))


@fine("6.5.2", "an unknown setting")
def _(wire):
    wire.send(settings((0x99, 7), (0xFFFF, 0xFFFFFFFF)))
    wire.wait("ack")
    wire.send(wire.head(1, request("/status/204")))


@fine("6.5.3", "SETTINGS are acknowledged in order")
def _(wire):
    wire.send(*[settings((4, 65535 + n)) for n in range(20)])
    for _ in range(20):
        wire.wait("ack")
    wire.send(wire.head(1, request("/status/204")))


simple("6.6", "PUSH_PROMISE from a client", PROTOCOL, frame(PUSH_PROMISE, 4, 1, u32(2) + b"\x82"))


@fine("6.7", "PING is answered with its content")
def _(wire):
    wire.send(frame(PING, 0, 0, b"whatever"), frame(PING, ACK, 0, b"unasked!"))
    assert wire.wait("pong")[2] == b"whatever"
    wire.send(wire.head(1, request("/status/204")))


simple("6.7", "PING on a stream", PROTOCOL, frame(PING, 0, 1, bytes(8)))
simple("6.7", "PING of 7 bytes", SIZE, frame(PING, 0, 0, bytes(7)))
simple("6.8", "GOAWAY on a stream", PROTOCOL, frame(GOAWAY, 0, 1, bytes(8)))
simple("6.9", "WINDOW_UPDATE of 0", PROTOCOL, frame(WINDOW_UPDATE, 0, 0, u32(0)))
simple("6.9", "WINDOW_UPDATE of 3 bytes", SIZE, frame(WINDOW_UPDATE, 0, 0, bytes(3)))
simple("6.9.1", "a window above 2^31-1", FLOW, frame(WINDOW_UPDATE, 0, 0, u32((1 << 31) - 1)))


@case("6.9 WINDOW_UPDATE of 0 on a stream", "reset PROTOCOL_ERROR", *PROTOCOL)
def _(wire):
    wire.try_send(wire.head(1, request("/silent")), frame(WINDOW_UPDATE, 0, 1, u32(0)))


@case("6.9.1 a stream's window above 2^31-1", "reset FLOW_CONTROL_ERROR", *FLOW)
def _(wire):
    wire.try_send(wire.head(1, request("/silent")), frame(WINDOW_UPDATE, 0, 1, u32((1 << 31) - 1)))


@case("6.9.1 DATA beyond the stream's window", "reset FLOW_CONTROL_ERROR", *FLOW)
def _(wire):
    wire.try_send(wire.head(1, request("/stall", "POST"), END_HEADERS))
    room = 256 * 1024
    wire.try_send(*[frame(DATA, 0, 1, bytes(16384)) for _ in range(3 * room // 16384)])
    # What the origin takes for itself is given back first.
    for _ in range(2000):
        if not wire.try_send(frame(DATA, 0, 1, bytes(16384))):
            break


def until_end(wire, stream):
    """What comes until the stream ends."""
    for event in wire.events():
        wire.seen.append(event)
        yield event
        if event[0] in ("end", "reset") and event[1] == stream or event[0] in ("goaway", "closed"):
            return


@fine("6.9.2", "a window that is made smaller is kept to, below zero too")
def _(wire):
    wire.send(wire.head(1, request("/endless")))
    came = 0
    while came < 65535:
        came += len(wire.wait("data")[2])
    assert came == 65535, came
    # Room for the connection alone, and a stream whose window is 55535 below zero.
    wire.send(settings((4, 10_000)), frame(WINDOW_UPDATE, 0, 0, u32(1_000_000)))
    wire.wait("ack")
    wire.send(frame(WINDOW_UPDATE, 0, 1, u32(55_535)), frame(PING, 0, 0, b"nothing!"))
    assert wire.wait("data", "pong")[0] == "pong"
    wire.send(frame(WINDOW_UPDATE, 0, 1, u32(7)))
    came = 0
    while came < 7:
        came += len(wire.wait("data")[2])
    assert came == 7, came
    wire.send(frame(PING, 0, 0, b"no more!"))
    assert wire.wait("data", "pong")[0] == "pong"
    wire.send(frame(RST_STREAM, 0, 1, u32(8)), wire.head(3, request("/status/204")))


@case("6.9.2 INITIAL_WINDOW_SIZE that overflows a window", *FLOW, "reset FLOW_CONTROL_ERROR")
def _(wire):
    wire.try_send(wire.head(1, request("/silent")), frame(WINDOW_UPDATE, 0, 1, u32(1 << 30)))
    wire.try_send(settings((4, (1 << 31) - 1)))


simple("6.10", "CONTINUATION on stream 0", PROTOCOL, frame(CONTINUATION, 4, 0, b"\x82"))


@case("6.10 CONTINUATION after the end of the block", *PROTOCOL)
def _(wire):
    wire.try_send(wire.head(1, request("/silent")), frame(CONTINUATION, 4, 1, b"\x82"))


@fine("6.10", "a header block in many pieces")
def _(wire):
    block = wire.encoder.encode(request("/status/204", more=[("x-long", "y" * 100)]))
    pieces = [frame(CONTINUATION, 0, 1, bytes((byte,))) for byte in block[3:8]]
    wire.send(frame(HEADERS, END_STREAM, 1, block[:3]), *pieces, frame(CONTINUATION, END_HEADERS, 1, block[8:]))


# Section 8: messages.
def malformed(section, name, fields, expected=MALFORMED):
    @case(f"{section} {name}", *expected)
    def _(wire):
        # Not through the encoder's own care.
        wire.try_send(wire.head(1, fields))


BAD = "/malformed/head"
malformed("8.2.1", "a name in upper case", request(BAD, more=[("X-Upper", "1")]))
malformed("8.2.1", "a name with a space", request(BAD, more=[("x y", "1")]))
malformed("8.2.1", "a name with a colon", request(BAD, more=[("x:y", "1")]))
malformed("8.2.1", "a name with a control", request(BAD, more=[("x\x01y", "1")]))
malformed("8.2.1", "an empty name", request(BAD, more=[("", "1")]))
malformed("8.2.1", "a value with CR and LF", request(BAD, more=[("x-split", "1\r\nx-other: 2")]))
malformed("8.2.1", "a value with LF", request(BAD, more=[("x-split", "1\nx-other: 2")]))
malformed("8.2.1", "a value with NUL", request(BAD, more=[("x-nul", "1\x002")]))
malformed("8.2.2", "connection", request(BAD, more=[("connection", "close")]))
malformed("8.2.2", "keep-alive", request(BAD, more=[("keep-alive", "timeout=5")]))
malformed("8.2.2", "proxy-connection", request(BAD, more=[("proxy-connection", "close")]))
malformed("8.2.2", "transfer-encoding", request(BAD, more=[("transfer-encoding", "chunked")]))
malformed("8.2.2", "upgrade", request(BAD, more=[("upgrade", "websocket")]))
malformed("8.2.2", "te other than trailers", request(BAD, more=[("te", "gzip")]))
malformed("8.3", "a pseudo-header after a field", [*request(BAD)[:3], ("x-first", "1"), (":path", BAD)])
malformed("8.3", "an unknown pseudo-header", [(":other", "1"), *request(BAD)])
malformed("8.3", "a response's pseudo-header", [(":status", "200"), *request(BAD)])
for index, name in enumerate((":method", ":scheme", ":authority", ":path")):
    whole = request(BAD)
    malformed("8.3", f"{name} twice", [*whole, whole[index]])
    if name != ":authority":
        malformed("8.3.1", f"no {name}", [*whole[:index], *whole[index + 1 :]])
malformed("8.3.1", "neither :authority nor Host", [field for field in request(BAD) if field[0] != ":authority"])
malformed("8.3.1", "an empty :path", [*request("")])
malformed("8.3.1", "a :path that is none", [*request("malformed")])
malformed("8.3.1", "an asterisk as :path", [*request("*")], ("status 400",))
malformed("8.3.1", "an empty :method", [*request(BAD, "")])
malformed("8.3.1", "Host that differs from :authority", request(BAD, more=[("host", "other.test")]), (*MALFORMED, "status 421"))
malformed("8.3.1", "userinfo in :authority", [(k, f"me@{v}" if k == ":authority" else v) for k, v in request(BAD)])
OTHER = [(k, "other.test" if k == ":authority" else v) for k, v in request(BAD)]
malformed("8.3.1", "another host than the tunnel's", OTHER, ("status 421",))
# :scheme is the connection's when it goes on, whatever the client writes.
malformed("8.3.1", "another scheme", [(k, "http" if k == ":scheme" else v) for k, v in request("/status/204")], ("status 204",))
malformed("8.5", "CONNECT", [(":method", "CONNECT"), (":authority", TARGET)], ("status 400", "status 501"))
malformed("8.5", "CONNECT with :path", [(":method", "CONNECT"), (":authority", TARGET), (":path", "/")], MALFORMED)
malformed(
    "8.5",
    "extended CONNECT without :scheme (RFC 8441 section 4)",
    [(":method", "CONNECT"), (":protocol", "websocket"), (":authority", TARGET), (":path", BAD)],
)
malformed("8.5", ":protocol without CONNECT (RFC 8441 section 4)", [(":protocol", "websocket"), *request(BAD)])


@fine("8.3.1", "Host in the place of :authority")
def _(wire):
    fields = [field for field in request("/status/204") if field[0] != ":authority"]
    wire.send(wire.head(1, [*fields, ("host", TARGET)]))


@fine("8.2.2", "te: trailers")
def _(wire):
    wire.send(wire.head(1, request("/status/204", more=[("te", "trailers")])))


def length(name, claimed, *pieces):
    @case(f"8.1.1 content-length {name}", *MALFORMED)
    def _(wire):
        wire.try_send(wire.head(1, request("/silent", "POST", [("content-length", claimed)]), END_HEADERS))
        last = len(pieces) - 1
        wire.try_send(*[frame(DATA, END_STREAM if at == last else 0, 1, piece) for at, piece in enumerate(pieces)])


length("below the DATA", "3", b"1234")
length("below the DATA of many frames", "3", b"12", b"34", b"")
length("above the DATA", "9", b"1234")
length("above no DATA", "9", b"")
malformed("8.1.1", "content-length without DATA", request(BAD, "POST", [("content-length", "9")]))
malformed("8.1.1", "content-length that is no number", request(BAD, "POST", [("content-length", "+0")]))
malformed("8.1.1", "content-length twice", request(BAD, "POST", [("content-length", "0"), ("content-length", "1")]))


def trailers(name, flags, *fields):
    @case(f"8.1 trailers {name}", *MALFORMED)
    def _(wire):
        wire.try_send(
            wire.head(1, request("/silent", "POST"), END_HEADERS),
            frame(DATA, 0, 1, b"x"),
            wire.head(1, fields, flags),
        )


trailers("without END_STREAM", END_HEADERS, ("x-sum", "1"))
trailers("with a name in upper case", END_HEADERS | END_STREAM, ("X-Sum", "1"))
trailers("with connection", END_HEADERS | END_STREAM, ("connection", "close"))


# The `h2` crate leaves them out, and what goes on is well formed.
@case("8.3 a pseudo-header in trailers", "status 200")
def _(wire):
    last = wire.head(1, [(":path", "/malformed/trailers"), ("x-sum", "1")])
    wire.send(wire.head(1, request("/count", "POST"), END_HEADERS), frame(DATA, 0, 1, b"x"), last)


# Section 10.5: what costs more than it brings.
LARGE = ("status 431", "reset PROTOCOL_ERROR", "reset ENHANCE_YOUR_CALM", "goaway ENHANCE_YOUR_CALM")


@case("10.5.1 a header list above the limit", *LARGE)
def _(wire):
    fields = request("/malformed/large", more=[(f"x-{n}", "y" * 4000) for n in range(30)])
    block = wire.encoder.encode(fields)
    pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    wire.try_send(frame(HEADERS, END_STREAM, 1, pieces[0]), *[frame(CONTINUATION, 0, 1, piece) for piece in pieces[1:-1]])
    wire.try_send(frame(CONTINUATION, END_HEADERS, 1, pieces[-1]))


@case("10.5.1 a bomb of references to one long field", *LARGE)
def _(wire):
    # 4000 bytes in the table, and 16000 references to them: 64 MB.
    first = b"\x82\x87\x84" + b"\x40\x01x" + b"\x7f\xa1\x1e" + b"z" * 4000
    wire.try_send(frame(HEADERS, END_STREAM | END_HEADERS, 1, first + b"\xbe" * 12000))


@case("10.5 a header block without end", "goaway ENHANCE_YOUR_CALM", "goaway PROTOCOL_ERROR", "goaway COMPRESSION_ERROR", "closed")
def _(wire):
    block = wire.encoder.encode(request("/malformed/endless"))
    wire.try_send(frame(HEADERS, END_STREAM, 1, block))
    piece = frame(CONTINUATION, 0, 1, (b"\x00\x01x\x7f\x80\x7d" + b"z" * 16127)[:16384])
    for _ in range(2000):
        if not wire.try_send(piece):
            break


@case("10.5 empty CONTINUATION without end", "goaway ENHANCE_YOUR_CALM", "goaway PROTOCOL_ERROR", "closed")
def _(wire):
    wire.try_send(frame(HEADERS, END_STREAM, 1, wire.encoder.encode(request("/malformed/empty"))))
    for _ in range(200):
        if not wire.try_send(frame(CONTINUATION, 0, 1) * 1000):
            break


@case("10.5 streams that the client makes the proxy reset", "goaway ENHANCE_YOUR_CALM")
def _(wire):
    for n in range(1, 6_001, 2):
        if not wire.try_send(wire.head(n, request("/silent")), frame(WINDOW_UPDATE, 0, n, u32((1 << 31) - 1))):
            break


# Each of these is little work, and brings nothing.
FLOODS = {
    "PING": lambda: frame(PING, 0, 0, b"12345678"),
    "SETTINGS": lambda: settings((4, 65535)),
    "PRIORITY": lambda: frame(PRIORITY, 0, 1, u32(3) + b"\x10"),
    "WINDOW_UPDATE": lambda: frame(WINDOW_UPDATE, 0, 0, u32(1)),
    "unknown frames": lambda: frame(0x16, 0, 0, b""),
    "RST_STREAM": lambda: frame(RST_STREAM, 0, 1, u32(8)),
}
CALMED = ("goaway ENHANCE_YOUR_CALM",)
FLOOD = 100_000


def flood(name, make):
    @case(f"10.5 {FLOOD} {name}", *CALMED)
    def _(wire):
        wire.send(wire.head(1, request("/status/204")))
        wire.wait("end")
        wire.seen.clear()
        batch = make() * 1000
        for _ in range(FLOOD // 1000):
            if not wire.try_send(batch):
                return
        wire.try_send(wire.head(3, request("/status/204")))


def unread(name):
    """Nothing of what the proxy answers is read, until it takes no more."""

    @case(f"10.5 {name} without end, and nothing is read", *CALMED, "closed", "stuck")
    def _(wire):
        wire.sock.settimeout(2)
        batch = FLOODS[name]() * 1000
        for _ in range(20 * FLOOD // 1000):
            try:
                wire.sock.sendall(batch)
            except TimeoutError:
                wire.seen.append(("stuck", 0, None))
                return
            except OSError:
                return


for name, make in FLOODS.items():
    flood(name, make)
unread("PING")
unread("SETTINGS")


@case(f"10.5 {FLOOD} empty DATA", *CALMED)
def _(wire):
    wire.send(wire.head(1, request("/count", "POST"), END_HEADERS))
    for _ in range(FLOOD // 1000):
        if not wire.try_send(frame(DATA, 0, 1) * 1000):
            return
    wire.try_send(wire.head(3, request("/status/204")))


@case("10.5 fifty answers that nobody reads, with all the room there is", "stuck")
def _(wire):
    wide = (1 << 31) - 1
    wire.send(settings((4, wide)), frame(WINDOW_UPDATE, 0, 0, u32(wide - 65535)))
    wire.send(*[wire.head(2 * n + 1, request("/endless")) for n in range(50)])
    others_go_on()
    wire.seen.append(("stuck", 0, None))


@case("10.5 fifty uploads that the origin does not read", "stuck")
def _(wire):
    wire.send(*[wire.head(2 * n + 1, request("/stall", "POST"), END_HEADERS) for n in range(50)])
    for _ in range(16):
        wire.send(*[frame(DATA, 0, 2 * n + 1, bytes(16384)) for n in range(50)])
    others_go_on()
    # The streams' windows are used up, and no more of them was given than the origin's own.
    wire.send(frame(PING, 0, 0, b"given..."))
    wire.wait("pong")
    given = sum(event[2] for event in wire.seen if event[0] == "room" and event[1])
    assert given <= 50 * 128 * 1024, given
    wire.seen.append(("stuck", 0, None))


def others_go_on():
    """Requests on another connection, one after the other."""
    wire = opened()
    for n in range(300):
        wire.send(wire.head(2 * n + 1, request("/status/204")))
        assert shown(wire.wait("head")) == "status 204"
    wire.sock.close()


def usage():
    """What the proxy has used: seconds of CPU, and the most memory so far in KiB."""
    with open(f"/proc/{OPTIONS.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{OPTIONS.pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK"), peak


def run(name):
    act, expected = CASES[name]
    if name.startswith("3.4"):
        wire = Wire(tunnel(OPTIONS, TARGET))
    else:
        wire = opened()
    act(wire)
    # What decides may have come while the case waited for something else.
    for event in wire.seen:
        if shown(event) in expected:
            wire.sock.close()
            return shown(event)
    came = []
    try:
        for event in wire.events():
            if event[0] in ("head", "reset", "goaway", "closed"):
                came.append(shown(event))
                if shown(event) in expected or event[0] == "closed":
                    break
    except TimeoutError:
        came.append("silence")
    wire.sock.close()
    assert came and came[-1] in expected, f"{came}, expected {expected}"
    return came[-1]


def main():
    found, wrong, cost = {}, {}, {}
    for name in CASES:
        if OPTIONS.case and OPTIONS.case not in name:
            continue
        try:
            before = usage()
            found[name] = run(name)
            after = usage()
            if "10.5" in name:
                cost[name] = {"cpu": round(after[0] - before[0], 2), "memory": after[1] - before[1]}
        except Exception as error:
            wrong[name] = f"{type(error).__name__}: {error}"
    wire = opened()
    wire.send(wire.head(1, request("/status/204")))
    assert shown(wire.wait("head")) == "status 204"
    common.say(found=found, wrong=wrong)
    return {"count": len(found), "wrong": wrong, "cost": cost}


common.main(main)

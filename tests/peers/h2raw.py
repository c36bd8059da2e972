"""HTTP/2 frame by frame, for peers that break its rules."""

import socket
import struct
from urllib.parse import urlsplit

import hpack

import common

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION) = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
TIMEOUT = 30

CODES = {
    0: "NO_ERROR",
    1: "PROTOCOL_ERROR",
    2: "INTERNAL_ERROR",
    3: "FLOW_CONTROL_ERROR",
    4: "SETTINGS_TIMEOUT",
    5: "STREAM_CLOSED",
    6: "FRAME_SIZE_ERROR",
    7: "REFUSED_STREAM",
    8: "CANCEL",
    9: "COMPRESSION_ERROR",
    10: "CONNECT_ERROR",
    11: "ENHANCE_YOUR_CALM",
    13: "HTTP_1_1_REQUIRED",
}


def frame(kind, flags=0, stream=0, payload=b""):
    """Any frame at all."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(*pairs, flags=0):
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def u32(value):
    return struct.pack(">I", value)


def literal(*fields):
    """A block that no encoder's care has touched: each field a literal."""
    block = b""
    for name, value in fields:
        block += b"\x00"
        for text in (name.encode(), value if isinstance(value, bytes) else value.encode()):
            assert len(text) < 127
            block += bytes((len(text),)) + text
    return block


def tunnel(options, target, offers=("h2",), source="127.0.0.1"):
    """TLS with `target` through a CONNECT of `--proxy`; HTTP/2 unless more is offered."""
    proxy = urlsplit(options.proxy)
    sock = socket.create_connection((proxy.hostname, proxy.port), TIMEOUT, (source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        more = sock.recv(1)
        assert more, f"CONNECT: {answer}"
        answer += more
    assert answer.startswith(b"HTTP/1.1 200"), answer
    context = common.client_tls(options)
    context.set_alpn_protocols(list(offers))
    tls = context.wrap_socket(sock, server_hostname=target.rsplit(":", 1)[0])
    assert len(offers) > 1 or tls.selected_alpn_protocol() == "h2", tls.selected_alpn_protocol()
    return tls


def listener(options):
    """TLS and HTTP/2 with the proxy itself, which is `--proxy`."""
    proxy = urlsplit(options.proxy)
    context = common.client_tls(options)
    context.set_alpn_protocols(["h2"])
    sock = socket.create_connection((proxy.hostname, proxy.port), TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = context.wrap_socket(sock, server_hostname=proxy.hostname)
    assert tls.selected_alpn_protocol() == "h2", tls.selected_alpn_protocol()
    return tls


class Wire:
    """One side of a connection. What is told about the other side is short:

    `goaway CODE` and `closed` for the connection, `reset CODE`, `status N` for a stream.
    """

    def __init__(self, sock):
        sock.settimeout(TIMEOUT)
        self.sock = sock
        self.rest = b""
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self.seen = []
        # Of TLS: a read gives one at most.
        self.records = 0

    def send(self, *pieces):
        self.sock.sendall(b"".join(pieces))

    def try_send(self, *pieces):
        """For a peer that may have gone."""
        try:
            self.send(*pieces)
        except OSError:
            return False
        return True

    def exactly(self, length):
        while len(self.rest) < length:
            try:
                more = self.sock.recv(65536)
            except TimeoutError:
                raise
            except OSError:
                # A reset, or TLS without its end.
                return None
            if not more:
                return None
            self.records += 1
            self.rest += more
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def read(self):
        """The next frame as (kind, flags, stream, payload); None at the end."""
        head = self.exactly(9)
        if head is None:
            return None
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        payload = self.exactly(length)
        if payload is None:
            return None
        return kind, flags, stream, payload

    def fields(self, payload, flags=0):
        if flags & PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        if flags & 0x20:
            payload = payload[5:]
        return [
            (name.decode() if isinstance(name, bytes) else name, value.decode("latin-1") if isinstance(value, bytes) else value)
            for name, value in self.decoder.decode(payload, raw=True)
        ]

    def head(self, stream, fields, flags=END_STREAM | END_HEADERS):
        return frame(HEADERS, flags, stream, self.encoder.encode(fields))

    def events(self):
        """What the peer says, acknowledging what has to be."""
        while True:
            got = self.read()
            if got is None:
                yield ("closed", 0, None)
                return
            kind, flags, stream, payload = got
            if kind == SETTINGS and not flags & ACK:
                self.try_send(settings(flags=ACK))
                pairs = [struct.unpack(">HI", payload[at : at + 6]) for at in range(0, len(payload), 6)]
                yield ("settings", 0, dict(pairs))
            elif kind == SETTINGS:
                yield ("ack", 0, None)
            elif kind == PING:
                yield ("pong" if flags & ACK else "ping", 0, payload)
            elif kind == GOAWAY:
                code = int.from_bytes(payload[4:8], "big")
                yield ("goaway", 0, CODES.get(code, code))
            elif kind == RST_STREAM:
                code = int.from_bytes(payload, "big")
                yield ("reset", stream, CODES.get(code, code))
            elif kind == HEADERS:
                assert flags & END_HEADERS, "a long head"
                yield ("head", stream, self.fields(payload, flags))
                if flags & END_STREAM:
                    yield ("end", stream, None)
            elif kind == DATA:
                yield ("data", stream, payload)
                if flags & END_STREAM:
                    yield ("end", stream, None)
            elif kind == WINDOW_UPDATE:
                yield ("room", stream, int.from_bytes(payload, "big"))
            else:
                yield ("other", stream, kind)

    def wait(self, *wanted):
        """The first event of these kinds; the rest is kept in `seen`."""
        for event in self.events():
            self.seen.append(event)
            if event[0] in wanted:
                return event
        raise AssertionError(f"the end came before {wanted}: {self.seen[-20:]}")


def shown(event):
    """An event as the cases write it."""
    kind, _, what = event
    if kind == "head":
        return f"status {dict(what)[':status']}"
    if kind in ("goaway", "reset"):
        return f"{kind} {what}"
    return kind

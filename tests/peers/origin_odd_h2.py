"""An origin that says over HTTP/2 what RFC 9113 allows and few libraries take, and the same over HTTP/1.1. It tells each
request that it gets: the protocol, the method, the path, and the value of Cookie.

What it answers is told by the path:
  /cookie    a Set-Cookie with a control character in it
  /trailers  the same in its trailers
  /early     the same in a 103
  /page      nothing of the kind: a page that asks for such things
  others     nothing of the kind
`?after=N` waits until N other requests are open on the connection, over HTTP/2.
"""

import socket
import threading
from urllib.parse import parse_qs, urlsplit

import common
from h2raw import *

OPTIONS = common.arguments()
LISTENER = socket.create_server(("127.0.0.1", 0))
PAGE = b"""<!doctype html><meta charset="utf-8"><title>odd</title><script>
const fetched = async (path) => {
  const response = await fetch(path);
  const text = await response.text();
  const entry = performance.getEntriesByName(new URL(path, location).href).at(-1);
  return { status: response.status, text, protocol: entry?.nextHopProtocol };
};
(async () => {
  const page = performance.getEntriesByType('navigation')[0].nextHopProtocol;
  const all = await Promise.all(['/cookie?after=1', '/held?after=9'].map(fetched));
  window.result = { page, all, again: await fetched('/cookie') };
})().catch((error) => { window.result = { error: String(error) }; });
</script>"""
ODD = ("set-cookie", b"visit=dmo\x01OZ; path=/")


def told(protocol, method, path, cookie):
    # As one would write them, whatever their bytes are.
    text = path.decode("latin-1")
    common.say(protocol=protocol, method=method, path=text, cookie=cookie.decode("latin-1"))


def over_h2(wire):
    assert wire.exactly(len(PREFACE)) == PREFACE
    wire.send(settings())
    waiting = []
    for kind, stream, what in wire.events():
        if kind == "head":
            fields = dict(what)
            path = fields[":path"].encode("latin-1")
            told("h2", fields[":method"], path, fields.get("cookie", "").encode("latin-1"))
            waiting.append((stream, path))
        waiting = [asked for asked in waiting if not answered(wire, *asked, len(waiting) - 1)]


def answered(wire, stream, path, others):
    """Answers it if its time has come."""
    parts = urlsplit(path.decode("latin-1"))
    after = int(parse_qs(parts.query).get("after", ["0"])[0])
    if others < after:
        return False
    more = {"/cookie": (ODD,), "/page": (("content-type", "text/html"),)}.get(parts.path, ())
    if parts.path == "/early":
        wire.try_send(frame(HEADERS, END_HEADERS, stream, literal((":status", "103"), ODD)))
    wire.try_send(frame(HEADERS, END_HEADERS, stream, literal((":status", "200"), *more)))
    if parts.path == "/trailers":
        wire.try_send(frame(DATA, 0, stream, b"ok"))
        wire.try_send(frame(HEADERS, END_HEADERS | END_STREAM, stream, literal(ODD)))
    else:
        wire.try_send(frame(DATA, END_STREAM, stream, PAGE if parts.path == "/page" else b"ok"))
    return True


def over_http1(tls):
    file = tls.makefile("rb")
    while line := file.readline():
        method, path, _ = line.split(b" ", 2)
        fields = {}
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        file.read(int(fields.get(b"content-length", 0)))
        told("http/1.1", method.decode(), path, fields.get(b"cookie", b""))
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
        if path.startswith((b"/cookie", b"/trailers", b"/early")):
            head += b"Set-Cookie: " + ODD[1] + b"\r\n"
        tls.sendall(head + b"\r\nok")


def serve(raw):
    try:
        tls = common.server_tls(OPTIONS, ("h2", "http/1.1")).wrap_socket(raw, server_side=True)
        if tls.selected_alpn_protocol() == "h2":
            over_h2(Wire(tls))
        else:
            over_http1(tls)
    except OSError:
        # The proxy has closed it.
        pass


common.ready(LISTENER.getsockname()[1])
while True:
    threading.Thread(target=serve, args=(LISTENER.accept()[0],), daemon=True).start()

"""A client that asks once more behind the proxy's goodbye, while a request of before is under way.

Through `--proxy` to --url, or, with --listener, on streams of the proxy itself. Says `open` when the first request is under
way, then waits for the goodbye. Says what became of either request.
"""

from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments("listener")
URL = urlsplit(OPTIONS.url)


def fields(method, path):
    return [(":method", method), (":scheme", URL.scheme), (":authority", URL.netloc), (":path", path)]


def main():
    wire = Wire(listener(OPTIONS) if OPTIONS.listener else tunnel(OPTIONS, URL.netloc))
    wire.send(PREFACE, settings())
    wire.wait("ack")
    wire.send(wire.head(1, fields("POST", "/echo"), END_HEADERS))
    # Once this one is answered, the one before it has been looked at.
    wire.send(wire.head(3, fields("POST", "/echo")))
    while wire.wait("end")[1] != 3:
        pass
    common.say(open=True)
    wire.wait("goaway")
    # What the proxy does not count any more is told by a second one, when this client must have seen the first.
    wire.send(frame(PING, ACK, 0, wire.wait("ping")[2]))
    wire.wait("goaway")
    wire.send(wire.head(5, fields("GET", "/behind")))
    wire.send(frame(DATA, END_STREAM, 1, b"still here"))
    while wire.wait("end")[1] != 1:
        pass
    wire.wait("closed")
    heads = {event[1]: shown(event) for event in wire.seen if event[0] == "head"}
    content = b"".join(event[2] for event in wire.seen if event[:2] == ("data", 1))
    return {"before": heads.get(1), "content": content.decode(), "behind": heads.get(5)}


common.main(main)

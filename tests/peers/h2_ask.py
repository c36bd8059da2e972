"""Asks a proxy over HTTP/2 (hyper-h2): --method CONNECT or another, --target host:port or a URL. Prints the answer's head.

--credentials VALUE   sends it as Proxy-Authorization; several, separated by `|`, are streams of one connection, each beside
                      the others, and a list of their answers is printed; an empty one sends none
--cert, --key         what it shows of itself in the handshake
--content BYTES       so many bytes of content
--header NAME:VALUE   one more field; several, separated by `|`, are for streams of one connection too, one each
"""

import json
import socket
import ssl
from urllib.parse import urlsplit

import common
import h2.config
import h2.connection
import h2.events

OPTIONS = common.arguments("method", "target", "credentials", "content", "header")
PROXY = urlsplit(OPTIONS.proxy)

context = ssl.create_default_context(cafile=OPTIONS.ca)
context.set_alpn_protocols(["h2"])
if OPTIONS.cert:
    context.load_cert_chain(OPTIONS.cert, OPTIONS.key)
sock = context.wrap_socket(socket.create_connection((PROXY.hostname, PROXY.port), 30), server_hostname=PROXY.hostname)
connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, validate_outbound_headers=False))
connection.initiate_connection()
content = int(OPTIONS.content or 0)
shown = (OPTIONS.credentials or "").split("|")
fields = (OPTIONS.header or "").split("|")
shown, fields = shown * (len(fields) if len(shown) == 1 else 1), fields * (len(shown) if len(fields) == 1 else 1)
for at, (credentials, field) in enumerate(zip(shown, fields, strict=True)):
    if OPTIONS.method == "CONNECT":
        head = [(":method", "CONNECT"), (":authority", OPTIONS.target)]
    else:
        url = urlsplit(OPTIONS.target)
        head = [(":method", OPTIONS.method), (":scheme", url.scheme), (":authority", url.netloc), (":path", url.path)]
    if credentials:
        head.append(("proxy-authorization", credentials))
    if field:
        head.append(tuple(field.split(":", 1)))
    stream = 2 * at + 1
    connection.send_headers(stream, head, end_stream=OPTIONS.method != "CONNECT" and not content)
    if content:
        for begin in range(0, content, 16384):
            length = min(16384, content - begin)
            connection.send_data(stream, b"x" * length, end_stream=begin + length == content)
sock.sendall(connection.data_to_send())
found = {}
while len(found) < len(shown):
    data = sock.recv(65536)
    if not data:
        break
    for event in connection.receive_data(data):
        if isinstance(event, h2.events.ResponseReceived):
            head = {}
            for name, value in event.headers:
                name = (name.decode() if isinstance(name, bytes) else name).lstrip(":")
                value = value.decode() if isinstance(value, bytes) else value
                head[name] = f"{head[name]}, {value}" if name in head else value
            found[event.stream_id] = head
        elif isinstance(event, h2.events.StreamReset) and event.stream_id not in found:
            found[event.stream_id] = {"reset": str(event.error_code)}
    sock.sendall(connection.data_to_send())
found = [found.get(2 * at + 1, {}) for at in range(len(shown))]
print(json.dumps(found if len(shown) > 1 else found[0]), flush=True)

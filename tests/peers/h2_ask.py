"""Asks a proxy over HTTP/2 (hyper-h2) once: --method CONNECT or another, --target host:port or a URL. Prints the answer's head."""

import json
import socket
import ssl
from urllib.parse import urlsplit

import common
import h2.config
import h2.connection
import h2.events

OPTIONS = common.arguments("method", "target")
PROXY = urlsplit(OPTIONS.proxy)

context = ssl.create_default_context(cafile=OPTIONS.ca)
context.set_alpn_protocols(["h2"])
sock = context.wrap_socket(socket.create_connection((PROXY.hostname, PROXY.port), 30), server_hostname=PROXY.hostname)
connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, validate_outbound_headers=False))
connection.initiate_connection()
if OPTIONS.method == "CONNECT":
    head = [(":method", "CONNECT"), (":authority", OPTIONS.target)]
else:
    url = urlsplit(OPTIONS.target)
    head = [(":method", OPTIONS.method), (":scheme", url.scheme), (":authority", url.netloc), (":path", url.path)]
connection.send_headers(1, head, end_stream=OPTIONS.method != "CONNECT")
sock.sendall(connection.data_to_send())
found = {}
while not found:
    data = sock.recv(65536)
    if not data:
        break
    for event in connection.receive_data(data):
        if isinstance(event, h2.events.ResponseReceived):
            found = {
                (k.decode() if isinstance(k, bytes) else k).lstrip(":"): v.decode() if isinstance(v, bytes) else v
                for k, v in event.headers
            }
        elif isinstance(event, h2.events.StreamReset) and not found:
            found = {"reset": str(event.error_code)}
    sock.sendall(connection.data_to_send())
print(json.dumps(found), flush=True)

"""An ASGI origin on Hypercorn, by HTTP/2: another server that takes WebSockets on streams (RFC 8441).

Any path takes a request, and answers with its body, or a WebSocket, and echoes each message, which is told.
"""

import asyncio
import socket

from hypercorn.asyncio import serve
from hypercorn.config import Config

import common

OPTIONS = common.arguments()


async def http(scope, receive, send):
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event.get("body", b"")
        more = event.get("more_body", False)
    common.say(path=scope["path"], version=scope["http_version"])
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def websocket(scope, receive, send):
    await receive()
    chosen = "chat.v2" if "chat.v2" in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chosen})
    common.say(websocket=scope["path"], version=scope["http_version"])
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            common.say(websocket=scope["path"], code=event["code"])
            return
        text = event.get("text")
        if text is not None:
            common.say(text=text[:100])
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})


async def app(scope, receive, send):
    if scope["type"] == "http":
        await http(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        await lifespan(receive, send)


async def lifespan(receive, send):
    while (event := await receive())["type"] != "lifespan.shutdown":
        await send({"type": event["type"] + ".complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def main():
    config = Config()
    config.certfile, config.keyfile = OPTIONS.cert, OPTIONS.key
    config.alpn_protocols = ["h2"]
    config.websocket_max_message_size = 64 << 20
    config.accesslog = config.errorlog = None
    # Hypercorn would not say which port it took.
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    config.bind = [f"fd://{listener.fileno()}"]
    common.ready(listener.getsockname()[1])
    await serve(app, config)


asyncio.run(main())

"""An origin on Python's `websockets`: echoes, with permessage-deflate where the client offers it.

/echo       sends back what comes
/push       sends a text, a ping and a binary message by itself, then echoes
/close/N    closes with code N and the reason "as asked" after the first message
/refuse/N   answers the handshake with status N
/api/...    is no WebSocket, and answers 200
By the name of echo.websocket.org it greets first, as the server of that name does.
Subprotocol `chat.v2` is chosen where it is offered.
"""

import asyncio
import http

from websockets.asyncio.server import serve

import common


async def handle(connection):
    path = connection.request.path
    if connection.request.headers["Host"] == "echo.websocket.org":
        await connection.send("Request served by 4d896d95b55478")
    if path.startswith("/push"):
        await connection.send("pushed")
        pong = await connection.ping(b"from the origin")
        await pong
        await connection.send(b"\x00\x01\x02")
    async for message in connection:
        if path.startswith("/close/"):
            await connection.close(int(path.rsplit("/", 1)[1]), "as asked")
            return
        await connection.send(message)


def refuse(connection, request):
    if request.path.startswith("/refuse/"):
        status = http.HTTPStatus(int(request.path.rsplit("/", 1)[1]))
        response = connection.respond(status, "refused by the origin\n")
        response.headers["X-Origin"] = "websockets"
        return response
    if request.path.startswith("/api/"):
        return connection.respond(http.HTTPStatus.OK, "{}\n")
    return None


def choose(_connection, offered):
    return "chat.v2" if "chat.v2" in offered else None


async def main():
    options = common.arguments("listen", "port")
    async with serve(
        handle,
        options.listen or "127.0.0.1",
        int(options.port or 0),
        ssl=common.server_tls(options) if options.cert else None,
        max_size=64 << 20,
        process_request=refuse,
        select_subprotocol=choose,
        ping_interval=None,
    ) as server:
        common.ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()


asyncio.run(main())

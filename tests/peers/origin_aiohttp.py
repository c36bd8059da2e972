"""An HTTPS origin on aiohttp.

/echo        the request's body, with its method and how it was framed in X- headers
/headers     the request's headers as a JSON list of pairs, in order and as they were written
/chunked     a chunked response in three pieces
/slow        the first half of a body; the second when someone asks for /release
/release     lets /slow go on
/status/N    a response with status N and, where N may have one, a body
/ws          a WebSocket echo
"""

import asyncio

from aiohttp import WSMsgType, web

import common

OPTIONS = common.arguments()
RELEASED = asyncio.Event()


async def echo(request):
    body = await request.read()
    headers = {
        "X-Method": request.method,
        "X-Transfer-Encoding": request.headers.get("Transfer-Encoding", ""),
        "X-Content-Length": request.headers.get("Content-Length", ""),
        "X-Expect": request.headers.get("Expect", ""),
        "Content-Type": "application/octet-stream",
    }
    return web.Response(body=body, headers=headers)


async def headers(request):
    return web.json_response([[name.decode(), value.decode()] for name, value in request.raw_headers])


async def chunked(request):
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for piece in (b"one\n", b"two\n", b"three\n"):
        await response.write(piece)
    await response.write_eof()
    return response


async def slow(request):
    response = web.StreamResponse(headers={"Content-Length": "12"})
    await response.prepare(request)
    await response.write(b"first ")
    await RELEASED.wait()
    await response.write(b"second")
    return response


async def release(_request):
    RELEASED.set()
    return web.Response(text="released\n")


async def status(request):
    code = int(request.match_info["code"])
    body = None if code in (204, 205, 304) else f"status {code}\n"
    return web.Response(status=code, text=body)


async def socket(request):
    connection = web.WebSocketResponse(max_msg_size=64 << 20)
    await connection.prepare(request)
    async for message in connection:
        if message.type == WSMsgType.TEXT:
            await connection.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await connection.send_bytes(message.data)
    return connection


async def main():
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/echo", echo)
    app.router.add_route("*", "/headers", headers)
    app.router.add_get("/chunked", chunked)
    app.router.add_get("/slow", slow)
    app.router.add_get("/release", release)
    app.router.add_get("/status/{code}", status)
    app.router.add_get("/ws", socket)
    await common.serve(app, common.server_tls(OPTIONS) if OPTIONS.cert else None)


asyncio.run(main())

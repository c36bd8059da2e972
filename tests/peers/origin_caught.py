"""An aiohttp origin at ports 80 and 443 of its network namespace, of both families; at more ports with TLS by --ports.

/       who has connected, and what its request calls this host, as JSON
/ws     a WebSocket echo; who has connected is told on standard output
/page   a page that opens such a WebSocket, and says what it has heard
/files  what is in the folder --files
"""

import asyncio

from aiohttp import WSMsgType, web

import common

OPTIONS = common.arguments("ports", "files")
SECURE = [443, *(int(port) for port in (OPTIONS.ports or "").split(",") if port)]

PAGE = """<!doctype html><meta charset="utf-8"><title>caught</title><script>
const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/ws');
socket.onopen = () => socket.send('hello');
socket.onmessage = (event) => { window.result = { heard: event.data }; };
socket.onerror = () => { window.result = { heard: null }; };
</script>"""


async def page(request):
    return web.Response(text=PAGE, content_type="text/html")


async def seen(request):
    peer, own = request.transport.get_extra_info("peername"), request.transport.get_extra_info("sockname")
    told = {"peer": peer[0], "own": own[0], "host": request.host, "secure": request.secure}
    return web.json_response(told, headers={"Alt-Svc": 'h3=":443"; ma=86400'})


async def echo(request):
    peer, own = request.transport.get_extra_info("peername"), request.transport.get_extra_info("sockname")
    common.say(peer=peer[0], port=own[1])
    socket = web.WebSocketResponse(max_msg_size=64 << 20)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def main():
    app = web.Application()
    files = [web.static("/files", OPTIONS.files)] if OPTIONS.files else []
    app.add_routes([web.get("/ws", echo), web.get("/page", page), *files, web.get("/{any:.*}", seen)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for host in ("0.0.0.0", "::"):
        await web.TCPSite(runner, host, 80).start()
        for port in SECURE:
            await web.TCPSite(runner, host, port, ssl_context=common.server_tls(OPTIONS)).start()
    common.ready(443)
    await asyncio.Event().wait()


asyncio.run(main())

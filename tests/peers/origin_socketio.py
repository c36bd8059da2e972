"""A Socket.IO origin on python-socketio and aiohttp: the event `say` comes back as `said`, attachments included."""

import asyncio

import socketio
from aiohttp import web

import common

OPTIONS = common.arguments()
SERVER = socketio.AsyncServer(async_mode="aiohttp")


@SERVER.event
async def say(sid, *words):
    await SERVER.emit("said", tuple(words), to=sid)


async def main():
    app = web.Application()
    SERVER.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=common.server_tls(OPTIONS))
    await site.start()
    common.ready(site._server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


asyncio.run(main())

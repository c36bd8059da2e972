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
    await common.serve(app, common.server_tls(OPTIONS))


asyncio.run(main())

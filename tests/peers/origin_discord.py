"""A stand-in for Discord's API and gateway: what it says over the WebSocket is one zlib stream, some of it cut over messages.

The words of the messages that it tells of come as arguments of `--say`, separated by `|`.
"""

import asyncio
import json
import zlib

from aiohttp import WSMsgType, web

import common

OPTIONS = common.arguments("say")
USER = {"id": "7", "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
AUTHOR = {"id": "8", "username": "ada", "discriminator": "0", "avatar": None}


def answer(said):
    # Without a charset, as discord.py wants it.
    return web.Response(body=json.dumps(said).encode(), headers={"Content-Type": "application/json"})


async def me(_request):
    return answer(USER)


async def application(_request):
    return answer({
        "id": "9", "name": "app", "icon": None, "description": "", "bot_public": True, "bot_require_code_grant": False,
        "verify_key": "", "owner": USER, "flags": 0, "summary": "",
    })


async def gateway(request):
    common.say(compress=request.query.get("compress"))
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    stream = zlib.compressobj()

    async def send(op, data, event=None, sequence=None, cut=False):
        text = json.dumps({"op": op, "d": data, "t": event, "s": sequence}).encode()
        packed = stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH)
        half = len(packed) // 2
        for piece in (packed[:half], packed[half:]) if cut else (packed,):
            await socket.send_bytes(piece)

    await send(10, {"heartbeat_interval": 60_000})
    async for message in socket:
        if message.type != WSMsgType.TEXT:
            continue
        said = json.loads(message.data)
        if said["op"] == 1:
            await send(11, None)
        elif said["op"] == 2:
            await send(0, {
                "v": 10, "user": USER, "guilds": [], "session_id": "1", "resume_gateway_url": "wss://origin.test",
                "application": {"id": "9", "flags": 0}, "private_channels": [],
            }, "READY", 1)
            for number, words in enumerate(OPTIONS.say.split("|"), 2):
                await send(0, {
                    "id": str(100 + number), "channel_id": "10", "author": AUTHOR, "content": words, "type": 0,
                    "timestamp": "2026-01-01T00:00:00+00:00", "edited_timestamp": None, "tts": False,
                    "mention_everyone": False, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
                    "pinned": False,
                }, "MESSAGE_CREATE", number, cut=number % 2 == 1)
    return socket


async def main():
    app = web.Application()
    app.add_routes([
        web.get("/api/users/@me", me),
        web.get("/api/oauth2/applications/@me", application),
        web.get("/gateway", gateway),
    ])
    await common.serve(app, common.server_tls(OPTIONS))


asyncio.run(main())

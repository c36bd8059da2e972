"""Stands in for Slack: `apps.connections.open` and the Socket Mode protocol that follows it.

The API is served with TLS (--cert, --key) and on a second, plain port; both tell the client to open
`wss://HOST:PORT/link/?ticket=...` with --host and, unless it is 443, --port (0: the port that it listens on).
Over the socket: `hello`, then events, each of which the client must acknowledge by its envelope_id before the
next one is sent; then `disconnect`, after which the client is expected to open a second connection by itself.
Each fact is a JSON line on standard output.
"""

import asyncio
import json
import uuid

from aiohttp import WSMsgType, web

import common

OPTIONS = common.arguments("host", "port")
EVENTS = 5
STATE = {"connections": 0, "wss": 0}


async def connections_open(request):
    if request.headers.get("Authorization") != "Bearer xapp-test":
        return web.json_response({"ok": False, "error": "invalid_auth"})
    port = int(OPTIONS.port or 0) or STATE["wss"]
    suffix = "" if port == 443 else f":{port}"
    ticket = uuid.uuid4()
    return web.json_response(
        {"ok": True, "url": f"wss://{OPTIONS.host}{suffix}/link/?ticket={ticket}&app_id=A1"}
    )


async def auth_test(_request):
    return web.json_response({"ok": True, "user_id": "U1", "bot_id": "B1", "team_id": "T1"})


def envelope(number):
    return {
        "envelope_id": str(uuid.uuid4()),
        "type": "events_api",
        "accepts_response_payload": False,
        "payload": {
            "type": "event_callback",
            "event_id": f"Ev{number}",
            "event": {"type": "message", "channel": "C1", "user": "U1", "text": f"message {number}", "ts": "1.0"},
        },
    }


async def link(request):
    socket = web.WebSocketResponse(heartbeat=2)
    await socket.prepare(request)
    STATE["connections"] += 1
    mine = STATE["connections"]
    common.say(opened=mine, host=request.headers.get("Host"))
    await socket.send_json(
        {
            "type": "hello",
            "num_connections": 1,
            "connection_info": {"app_id": "A1"},
            "debug_info": {"host": "applink", "approximate_connection_time": 18060},
        }
    )
    sent, waiting = 0, None
    while True:
        if waiting is None and sent < EVENTS:
            waiting = envelope(f"{mine}.{sent}")
            await socket.send_json(waiting)
        try:
            message = await socket.receive()
        except (ConnectionError, asyncio.CancelledError):
            break
        if message.type != WSMsgType.TEXT:
            break
        body = json.loads(message.data)
        if waiting and body.get("envelope_id") == waiting["envelope_id"]:
            sent, waiting = sent + 1, None
            common.say(acknowledged=f"{mine}.{sent - 1}")
            if sent == EVENTS and mine % 2 == 1:
                await socket.send_json({"type": "disconnect", "reason": "refresh_requested", "debug_info": {}})
    common.say(closed=mine, code=socket.close_code)
    return socket


async def main():
    app = web.Application()
    app.router.add_post("/api/apps.connections.open", connections_open)
    app.router.add_post("/api/auth.test", auth_test)
    app.router.add_get("/link/", link)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    secure = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=common.server_tls(OPTIONS))
    plain = web.TCPSite(runner, "127.0.0.1", 0)
    await secure.start()
    await plain.start()
    STATE["wss"] = secure._server.sockets[0].getsockname()[1]
    common.say(plain=plain._server.sockets[0].getsockname()[1])
    common.ready(STATE["wss"])
    await asyncio.Event().wait()


asyncio.run(main())

"""Slack's own Python clients in Socket Mode: ten events over two connections, acknowledging each.

--variant aiohttp (the default), or builtin: Slack's own WebSocket implementation, which leaves the port out of
its Host header.
"""

import asyncio
import queue

import slack_sdk.socket_mode.aiohttp
import slack_sdk.socket_mode.builtin
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient
from slack_sdk.web.async_client import AsyncWebClient

import common

OPTIONS = common.arguments("api", "variant")
EVENTS = 10
DEADLINE = 45


async def on_aiohttp():
    tls = common.client_tls(OPTIONS)
    web = AsyncWebClient(base_url=OPTIONS.api, proxy=OPTIONS.proxy, ssl=tls)
    client = slack_sdk.socket_mode.aiohttp.SocketModeClient(
        app_token="xapp-test", web_client=web, proxy=OPTIONS.proxy, ping_interval=1
    )
    texts, issuers, enough = [], set(), asyncio.Event()

    async def take(client, request):
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        texts.append(request.payload["event"]["text"])
        shown = client.current_session.get_extra_info("ssl_object")
        issuers.add(common.issuer(shown))
        if len(texts) == EVENTS:
            enough.set()

    client.socket_mode_request_listeners.append(take)
    await client.connect()
    await asyncio.wait_for(enough.wait(), DEADLINE)
    await client.close()
    return {"texts": texts, "issuers": sorted(issuers)}


def on_builtin():
    tls = common.client_tls(OPTIONS)
    web = WebClient(base_url=OPTIONS.api, proxy=OPTIONS.proxy, ssl=tls)
    client = slack_sdk.socket_mode.builtin.SocketModeClient(
        app_token="xapp-test", web_client=web, proxy=OPTIONS.proxy, ping_interval=1
    )
    taken, issuers = queue.Queue(), set()

    def take(client, request):
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        issuers.add(common.issuer(client.current_session.sock))
        taken.put(request.payload["event"]["text"])

    client.socket_mode_request_listeners.append(take)
    client.connect()
    texts = [taken.get(timeout=DEADLINE) for _ in range(EVENTS)]
    try:
        client.close()
    except AttributeError:
        # The library's own reading thread may let go of the socket while close() still holds it.
        assert client.current_session.sock is None
    return {"texts": texts, "issuers": sorted(issuers)}


common.main(on_builtin if OPTIONS.variant == "builtin" else lambda: asyncio.run(on_aiohttp()))

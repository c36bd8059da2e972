"""What programs are told of a host that they may not or cannot have, through `--proxy`: httpx over HTTP/1.1 and HTTP/2, urllib,
and a WebSocket by `websockets`. Prints what each was told."""

import asyncio
import ssl
import urllib.error
import urllib.request

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import common

OPTIONS = common.arguments()


def trusting():
    """httpx writes into the one that it gets."""
    return ssl.create_default_context(cafile=OPTIONS.ca)


async def main():
    told = {}
    for name, http2 in (("http1", False), ("http2", True)):
        async with httpx.AsyncClient(http1=not http2, http2=http2, proxy=OPTIONS.proxy, verify=trusting()) as client:
            # One after the other: the first ends its connection.
            answers = [await client.get(OPTIONS.url + path) for path in ("/first", "/second")]
        first = answers[0]
        told[name] = {
            "statuses": [answer.status_code for answer in answers],
            "version": first.http_version,
            "proxy_status": first.headers["proxy-status"],
            "text": first.text,
        }
    handler = urllib.request.ProxyHandler({"https": OPTIONS.proxy})
    opener = urllib.request.build_opener(handler, urllib.request.HTTPSHandler(context=trusting()))
    try:
        opener.open(OPTIONS.url + "/urllib", timeout=30)
    except urllib.error.HTTPError as error:
        told["urllib"] = {"status": error.code, "text": error.read().decode()}
    try:
        await connect(OPTIONS.url.replace("https:", "wss:") + "/ws", proxy=OPTIONS.proxy, ssl=trusting())
    except InvalidStatus as error:
        told["websocket"] = {
            "status": error.response.status_code,
            "proxy_status": error.response.headers["Proxy-Status"],
        }
    return told


common.main(lambda: asyncio.run(main()))

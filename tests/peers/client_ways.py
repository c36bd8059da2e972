"""WebSockets by many ways, one after the other, on Python's `websockets`.

--ways   JSON: a list of what each takes: `name`, `url`, and either the `proxy` that it goes by or the `host` and `port` that
         are dialled, whatever the URL says
Says for each its name, and who has issued the certificate that it was shown.
"""

import asyncio
import json
import os

from websockets.asyncio.client import connect

import common

OPTIONS = common.arguments("ways")


async def one(way):
    tls = common.client_tls(OPTIONS)
    more = {"proxy": way.get("proxy")}
    if more["proxy"] is None:
        more.update(host=way["host"], port=way["port"])
    elif more["proxy"].startswith("https:"):
        more["proxy_ssl"] = tls
    async with connect(way["url"], ssl=tls, open_timeout=20, ping_interval=None, **more) as connection:
        for message in ("hello", "x" * 70000, os.urandom(3000)):
            await connection.send(message)
            assert await connection.recv() == message
        issuer = common.issuer(connection.transport.get_extra_info("ssl_object"))
    common.say(name=way["name"], issuer=issuer)


async def all_of_them():
    ways = json.loads(OPTIONS.ways)
    for way in ways:
        try:
            await one(way)
        except Exception as error:
            raise RuntimeError(f"{way}: {error!r}") from error
    return {"ways": len(ways)}


common.main(lambda: asyncio.run(all_of_them()))

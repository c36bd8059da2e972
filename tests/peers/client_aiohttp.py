"""A client on aiohttp: HTTPS requests and a WebSocket over the same proxy and trust."""

import asyncio

import aiohttp

import common

OPTIONS = common.arguments()


async def run():
    tls = common.client_tls(OPTIONS)
    base = OPTIONS.url
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        ask = {"proxy": OPTIONS.proxy, "ssl": tls}
        async with session.get(f"{base}/headers", **ask) as response:
            assert response.status == 200
            names = [name for name, _ in await response.json()]

        async def pieces():
            for number in range(10):
                yield bytes([number]) * 10_000

        async with session.post(f"{base}/echo", data=pieces(), **ask) as response:
            body = await response.read()
            assert body == b"".join([bytes([number]) * 10_000 for number in range(10)])
            framing = response.headers["X-Transfer-Encoding"]
        async with session.get(f"{base}/chunked", **ask) as response:
            assert await response.text() == "one\ntwo\nthree\n"
        async with session.ws_connect(f"{base}/ws", compress=15, **ask) as socket:
            for length in (0, 126, 70_000):
                await socket.send_bytes(b"z" * length)
                assert await socket.receive_bytes() == b"z" * length
            await socket.send_str("aiohttp")
            assert await socket.receive_str() == "aiohttp"
            issuer = common.issuer(socket.get_extra_info("ssl_object"))
            compressed = socket.compress
            await socket.close(code=4001)
            code = socket.close_code
    return {"names": names, "framing": framing, "issuer": issuer, "compress": compressed, "code": code}


common.main(lambda: asyncio.run(run()))

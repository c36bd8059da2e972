"""HTTP/2 by httpx (Python's `h2`), through `--proxy`."""

import asyncio
import os
import ssl

import httpx

import common

OPTIONS = common.arguments()


async def main():
    context = ssl.create_default_context(cafile=OPTIONS.ca)
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        http1=False, http2=True, proxy=OPTIONS.proxy, verify=context, limits=limits, timeout=40
    ) as client:
        large = os.urandom(3 << 20)
        # The first one alone, so that all are on its connection.
        first = await client.post(OPTIONS.url + "/echo", content=large)
        assert first.http_version == "HTTP/2" and first.content == large, first

        async def streamed():
            for n in range(50):
                yield str(n).encode() * 1000
                await asyncio.sleep(0)

        async def one(n):
            body = str(n).encode() * (n * 100)
            answer = await client.post(OPTIONS.url + "/echo", content=body)
            assert answer.status_code == 200 and answer.content == body, (n, answer)

        await asyncio.gather(*(one(n) for n in range(200)))
        up = await client.post(OPTIONS.url + "/echo", content=streamed())
        assert up.content == b"".join(str(n).encode() * 1000 for n in range(50))
        trailers = await client.get(OPTIONS.url + "/trailers")
        assert trailers.text == "content", trailers
        cookies = await client.get(OPTIONS.url + "/head", headers=[("cookie", "a=1"), ("cookie", "b=2")])
        empty = await client.get(OPTIONS.url + "/status/204")
        lost = []
        for code in (8, 2):
            try:
                await client.get(f"{OPTIONS.url}/reset/{code}")
            except httpx.RemoteProtocolError as error:
                lost.append(str(error))
        # Left in the middle of its content.
        async with client.stream("GET", OPTIONS.url + "/endless") as endless:
            async for _ in endless.aiter_raw():
                break
        last = await client.post(OPTIONS.url + "/echo", content=b"after all")
        return {"cookie": cookies.json()["cookie"], "empty": empty.status_code, "lost": lost, "last": last.text}


common.main(lambda: asyncio.run(main()))

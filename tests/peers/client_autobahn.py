"""A client on Python's `websockets` that echoes, as the Autobahn test suite wants its clients: it runs all cases that the
fuzzing server at --url has, as --agent. What they came to, the server knows.

--mode cases      runs them
--mode report     has the server write down what is known of all agents
"""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import common

OPTIONS = common.arguments("mode", "agent")


def opened(path):
    return connect(
        OPTIONS.url + path,
        proxy=OPTIONS.proxy,
        ssl=common.client_tls(OPTIONS),
        compression=None,
        max_size=64 << 20,
        ping_interval=None,
        # All reports are written in one go, and nobody is served meanwhile.
        open_timeout=55,
        close_timeout=5,
    )


async def cases():
    async with opened("/getCaseCount") as connection:
        count = int(await connection.recv())
    for case in range(1, count + 1):
        try:
            async with opened(f"/runCase?case={case}&agent={OPTIONS.agent}") as connection:
                async for message in connection:
                    await connection.send(message)
        except ConnectionClosed:
            # Many cases end in a fault, as they should.
            pass
    return {"cases": count}


async def report():
    async with opened(f"/updateReports?agent={OPTIONS.agent}") as connection:
        await connection.wait_closed()
    return {}


common.main(lambda: asyncio.run({"cases": cases, "report": report}[OPTIONS.mode]()))

"""The demo's clients: people who chat through the proxy. Each says something now and then, leaves, and comes back."""

import argparse
import asyncio
import random
import ssl
import sys
import time
import urllib.request

from websockets.asyncio.client import connect

WORDS = "the proxy carries every frame exactly as it came and nobody notices it".split()


def trust(url):
    """Trusts the proxy's CA, once it is there to be had."""
    for _ in range(60):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return ssl.create_default_context(cadata=answer.read().decode())
        except OSError as error:
            print(f"clients: {url}: {error}", file=sys.stderr, flush=True)
            time.sleep(1)
    sys.exit(f"clients: no CA at {url}")


async def chat(options, tls):
    """One visit."""
    async with connect(options.url, proxy=options.proxy, ssl=tls) as connection:
        for _ in range(random.randint(5, 60)):
            text = " ".join(random.choices(WORDS, k=random.randint(1, 40)))
            message = text if random.random() < 0.8 else text.encode()
            await connection.send(message)
            if await connection.recv() != message:
                raise ValueError("what came back is not what was said")
            await asyncio.sleep(random.expovariate(1 / options.pause))


async def visitor(options, tls, visits):
    while True:
        try:
            await chat(options, tls)
            visits.append(True)
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            print(f"clients: {error}", file=sys.stderr, flush=True)
            await asyncio.sleep(2)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--proxy", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between messages, on average")
    options = parser.parse_args()
    tls = trust(options.ca)
    visits = []
    visitors = [asyncio.create_task(visitor(options, tls, visits)) for _ in range(options.count)]
    while not any(task.done() for task in visitors):
        await asyncio.sleep(10 * options.pause)
        print(f"clients: {len(visits)} visits so far", flush=True)
    await asyncio.gather(*visitors)


asyncio.run(main())

"""Gives clients that know no proxies a way through `--proxy` to the host of --url: a port on this machine."""

import asyncio
from urllib.parse import urlsplit

import common

OPTIONS = common.arguments()
TARGET = urlsplit(OPTIONS.url).netloc


async def move(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def accepted(reader, writer):
    proxy = urlsplit(OPTIONS.proxy)
    far_reader, far_writer = await asyncio.open_connection(proxy.hostname, proxy.port)
    far_writer.write(f"CONNECT {TARGET} HTTP/1.1\r\nHost: {TARGET}\r\n\r\n".encode())
    answer = await far_reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200"):
        writer.close()
        return
    await asyncio.gather(move(reader, far_writer), move(far_reader, writer))


async def main():
    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    common.ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())

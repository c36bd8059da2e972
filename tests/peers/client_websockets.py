"""A client on Python's `websockets`: everything that RFC 6455 lets an endpoint send, against an echo.

--mode suite      text, binary, fragments, pings, every length encoding, 1 MiB, close with a code
--mode hold       one message, then holds the connection; each line on standard input is sent and its echo
                  printed; ends when the connection closes, and tells the code
--mode talk       as hold, but prints what came back, whatever it is
--mode open       only the handshake and one message
--mode dialogue   sends each line of standard input (`fragments a b`: in pieces; `bytes 00ff`: as binary; `ping`:
                  waits for its pong), and tells
                  each message that comes, and the end

--compression none, or deflate with --bits (the client's and the server's windows) or
--server-bits (the server's alone) and --takeover none
"""

import asyncio
import os
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import common

OPTIONS = common.arguments("mode", "compression", "subprotocol", "bits", "server-bits", "takeover")


def extensions():
    if OPTIONS.compression == "none":
        return None
    bits = int(OPTIONS.bits) if OPTIONS.bits else None
    no_takeover = OPTIONS.takeover == "none"
    return [
        ClientPerMessageDeflateFactory(
            client_max_window_bits=bits or True,
            server_max_window_bits=int(OPTIONS.server_bits) if OPTIONS.server_bits else bits,
            client_no_context_takeover=no_takeover,
            server_no_context_takeover=no_takeover,
        )
    ]


def opened():
    return connect(
        OPTIONS.url,
        proxy=OPTIONS.proxy,
        ssl=common.client_tls(OPTIONS) if OPTIONS.url.startswith("wss:") else None,
        compression=None,
        extensions=extensions(),
        subprotocols=[OPTIONS.subprotocol, "other"] if OPTIONS.subprotocol else None,
        max_size=64 << 20,
        ping_interval=None,
        open_timeout=20,
    )


async def echo(connection, message, sent=None):
    await connection.send(message if sent is None else sent)
    back = await connection.recv()
    assert back == message, f"sent {len(message)} of {type(message)}, got {len(back)} of {type(back)}"


def facts(connection):
    tls = connection.transport.get_extra_info("ssl_object")
    return {
        "issuer": common.issuer(tls) if tls else None,
        "extensions": connection.response.headers.get("Sec-WebSocket-Extensions"),
        "connection": connection.response.headers.get("Connection"),
        "subprotocol": connection.subprotocol,
    }


async def suite():
    messages = 0
    chance = random.Random(7)
    async with opened() as connection:
        for length in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20):
            await echo(connection, "x" * length)
            await echo(connection, chance.randbytes(length))
            messages += 2
        await echo(connection, "Grüße, 世界 \U0001f980")
        await echo(connection, "onetwothree", ["one", "two", "three"])
        await echo(connection, b"\x00\xff" * 3, [b"\x00\xff"] * 3)
        messages += 3
        for payload in (b"", b"ping", os.urandom(125)):
            await (await connection.ping(payload))
        # Many small ones in flight at once, in order.
        for number in range(200):
            await connection.send(str(number))
        for number in range(200):
            assert await connection.recv() == str(number)
        messages += 200
        seen = facts(connection)
        await connection.close(4321, "done")
        return {**seen, "messages": messages, "code": connection.close_code}


async def pushed():
    async with opened() as connection:
        assert await connection.recv() == "pushed"
        assert await connection.recv() == b"\x00\x01\x02"
        return facts(connection)


async def once():
    async with opened() as connection:
        await connection.send("hello")
        try:
            back = await connection.recv()
        except ConnectionClosed:
            back = None
        seen = facts(connection)
    return {**seen, "back": back, "code": connection.close_code, "reason": connection.close_reason}


async def hold(compare=True):
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with opened() as connection:
        await echo(connection, "first")
        common.say(open=True, **facts(connection))

        async def talk():
            while line := (await lines.readline()).decode().strip():
                if compare:
                    await echo(connection, line)
                    common.say(echo=line)
                else:
                    await connection.send(line)
                    common.say(sent=line, back=await connection.recv())
            await connection.close(1000)

        talking = asyncio.ensure_future(talk())
        await connection.wait_closed()
        talking.cancel()
        return {"code": connection.close_code, "reason": connection.close_reason}


async def dialogue():
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with opened() as connection:
        common.say(open=True, **facts(connection))

        async def send():
            while line := (await lines.readline()).decode().strip():
                if line.startswith("fragments "):
                    await connection.send(line.split(" ")[1:])
                elif line.startswith("bytes "):
                    await connection.send(bytes.fromhex(line.split(" ")[1]))
                elif line == "ping":
                    common.say(latency=await (await connection.ping()) >= 0)
                else:
                    await connection.send(line)
            await connection.close(1000)

        sending = asyncio.ensure_future(send())
        try:
            async for message in connection:
                common.say(got=message if isinstance(message, str) else f"bytes {message.hex()}")
        except ConnectionClosed:
            pass
        sending.cancel()
        return {"code": connection.close_code, "reason": connection.close_reason}


MODES = {
    "suite": suite,
    "open": once,
    "push": pushed,
    "hold": hold,
    "talk": lambda: hold(compare=False),
    "dialogue": dialogue,
}
common.main(lambda: asyncio.run(MODES[OPTIONS.mode or "suite"]()))

"""A client on python-socketio: says some events, with and without attachments, and tells what came back."""

import asyncio

import socketio

import common

OPTIONS = common.arguments()


async def run():
    client = socketio.AsyncClient(
        reconnection=False,
        websocket_extra_options={"proxy": OPTIONS.proxy, "ssl": common.client_tls(OPTIONS)},
    )
    got = []
    ended = asyncio.get_running_loop().create_future()

    @client.event
    async def said(*words):
        got.append([word.decode() if isinstance(word, bytes) else word for word in words])
        if words == ("end",):
            ended.set_result(None)

    @client.event
    async def disconnect(*_reason):
        if not ended.done():
            ended.set_exception(RuntimeError(f"disconnected after {got}"))

    await client.connect(OPTIONS.url, transports=["websocket"])
    await client.emit("say", "plain")
    await client.emit("say", 'my "kestrel"')
    await client.emit("say", ("leave this out", b"with", b"attachments"))
    await client.emit("say", ("attached", b"a kestrel in bytes", {"n": 1}))
    await client.emit("say", "end")
    await asyncio.wait_for(ended, 20)
    await client.disconnect()
    return {"got": got}


common.main(lambda: asyncio.run(run()))

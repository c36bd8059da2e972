"""A bot on discord.py, whose gateway is `--url`: tells what it hears until somebody says `end`."""

import asyncio
import logging

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

import common

OPTIONS = common.arguments()


async def run():
    origin = yarl.URL(OPTIONS.url)
    Route.BASE = str(origin / "api")
    DiscordWebSocket.DEFAULT_GATEWAY = origin.with_scheme("wss") / "gateway"
    bot = discord.Client(
        intents=discord.Intents.all(),
        proxy=OPTIONS.proxy,
        connector=aiohttp.TCPConnector(ssl=common.client_tls(OPTIONS)),
    )
    got = []

    @bot.event
    async def on_message(message):
        got.append(message.content)
        if message.content == "end":
            await bot.close()

    async with asyncio.timeout(30):
        await bot.start("token", reconnect=False)
    return {"got": got}


logging.getLogger("discord").addHandler(logging.StreamHandler())
common.main(lambda: asyncio.run(run()))

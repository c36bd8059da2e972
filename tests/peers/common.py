"""What every Python peer shares: its arguments, its TLS settings, and how it talks to the harness.

An origin prints `READY port` once it listens. A client prints one JSON object on its last line and ends with
0 when everything that it expects held, with 1 otherwise.
"""

import argparse
import asyncio
import json
import ssl
import sys
import traceback


def arguments(*extra):
    """The options that all peers take, and the named extra ones."""
    parser = argparse.ArgumentParser()
    for name in ("cert", "key", "ca", "url", "proxy", *extra):
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def server_tls(options, alpn=("http/1.1",)):
    """The TLS settings of an origin."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
    context.set_alpn_protocols(list(alpn))
    return context


def client_tls(options):
    """The TLS settings of a client that trusts `--ca` and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(options.ca)
    return context


def issuer(ssl_object):
    """The common name of who issued the certificate that the client was shown."""
    fields = dict(pair for (pair,) in ssl_object.getpeercert()["issuer"])
    return fields.get("commonName", "")


def ready(port):
    """Tells the harness that the origin listens."""
    print("READY", port, flush=True)


def say(**facts):
    """One line of facts for the harness."""
    print(json.dumps(facts), flush=True)


async def serve(app, tls=None):
    """Serves an aiohttp application on a free port, for ever."""
    from aiohttp import web

    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    ready(site._server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


def main(run):
    """Runs a client; an exception becomes its result."""
    try:
        say(**run())
    except Exception as error:  # The harness shows it, whatever it is.
        traceback.print_exc()
        response = getattr(error, "response", None)
        headers = getattr(response, "headers", None) or getattr(error, "headers", None) or {}
        status = getattr(response, "status_code", None) or getattr(error, "status", None)
        say(
            error=f"{type(error).__name__}: {error}",
            status=status,
            proxy_status=headers.get("Proxy-Status") if hasattr(headers, "get") else None,
        )
        sys.exit(1)

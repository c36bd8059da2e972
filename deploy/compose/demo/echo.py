"""The demo's origin: a page, and WebSockets that send back what comes, with a certificate that it signs itself."""

import argparse
import asyncio
import http
import pathlib
import ssl
import subprocess
import tempfile

from websockets.asyncio.server import serve


def certificate(host):
    """TLS as `host`, by a key that nobody else ever has."""
    with tempfile.TemporaryDirectory() as folder:
        key, cert = pathlib.Path(folder, "key.pem"), pathlib.Path(folder, "cert.pem")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-days", "90", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
        subprocess.run(command + ["-keyout", key, "-out", cert], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
    return context


async def echo(connection):
    async for message in connection:
        await connection.send(message)


def page(connection, request):
    """What is not a WebSocket gets a text."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return connection.respond(http.HTTPStatus.OK, "an echo is here, at any path\n")
    return None


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--listen", default="0.0.0.0")
    options = parser.parse_args()
    tls = certificate(options.host)
    async with serve(echo, options.listen, options.port, ssl=tls, process_request=page) as server:
        print(f"echo: listening on port {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


asyncio.run(main())

"""An issuer of tokens (PyJWT, cryptography): serves its public keys by HTTPS at /keys, and a description of itself that says so
(OpenID Connect Discovery), and does what lines on its standard
input ask for, one JSON object each. The answer to the line N is {"id": N, ...}, counted from 1.

{"token": claims, "alg": ..., "key": ..., "header": {...}}   a token that this key has signed; claims have iss, aud, exp unless
                                                             they say otherwise, and null for none
{"publish": [key, ...]}     the keys that are served from now on; --out FILE gets the same
{"serve": "keys" | "error" | "nothing" | "much"}
{"describe": issuer, "jwks_uri": ...}   whose description it serves, and where the keys are by that
{"asked": true}             how often keys were asked for

Keys: rsa, p256, p384, p521, ed, and new, which is of P-256 too; attacker and attacker_rsa are never published. The key "secret"
is the text of rsa's public key, for an HMAC by it; "zeros" is no key: the signature is one of zeros.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time

import common
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

OPTIONS = common.arguments("out")
ISSUER = "https://login.example"
KEYS = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed": ed25519.Ed25519PrivateKey.generate(),
    "new": ec.generate_private_key(ec.SECP256R1()),
    "attacker": ec.generate_private_key(ec.SECP256R1()),
    "attacker_rsa": rsa.generate_private_key(65537, 2048),
}
KINDS = {"rsa": "RS256", "p256": "ES256", "p384": "ES384", "p521": "ES512", "ed": "EdDSA", "new": "ES256"}
state = {"described": {}, "asked": 0, "serve": "keys", "keys": ["rsa", "p256", "p384", "p521", "ed"]}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public(name):
    """The public half of a key, as a JWK without `alg`: the RSA key is for all of its algorithms."""
    algorithm = jwt.get_algorithm_by_name(KINDS[name])
    jwk = algorithm.to_jwk(KEYS[name].public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, "kid": name, "use": "sig"}


def key_set():
    return json.dumps({"keys": [public(name) for name in state["keys"]]})


def token(order):
    """A token, whatever is wrong with it."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "wsbump", "exp": now + 300, "iat": now}
    for name, value in order["token"].items():
        # Times are told from now.
        claims[name] = now + value if name in ("exp", "nbf", "iat") and isinstance(value, int) else value
    claims = {name: value for name, value in claims.items() if value is not None}
    header = {"kid": order["key"], **order.get("header", {})}
    header = {name: value for name, value in header.items() if value is not None}
    if order["key"] in ("secret", "zeros", "none"):
        # No library signs like this any more.
        parts = [encode(json.dumps(part).encode()) for part in ({"alg": order["alg"], **header}, claims)]
        signed = ".".join(parts).encode()
        if order["key"] == "none":
            return signed.decode() + "."
        if order["key"] == "zeros":
            return f"{signed.decode()}.{encode(bytes(64))}"
        pem = KEYS["rsa"].public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"{signed.decode()}.{encode(hmac.digest(pem, signed, hashlib.sha256))}"
    if header.get("jwk"):
        algorithm = jwt.get_algorithm_by_name(order["alg"])
        header["jwk"] = algorithm.to_jwk(KEYS[order["key"]].public_key(), as_dict=True)
    encoder = jwt.PyJWS()
    return encoder.encode(json.dumps(claims).encode(), KEYS[order["key"]], order["alg"], headers=header)


class Keys(http.server.BaseHTTPRequestHandler):
    """The server of keys."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_keys = self.path == "/keys"
        state["asked"] += is_keys
        body = key_set().encode() if is_keys else json.dumps(state["described"]).encode()
        is_there = is_keys or self.path == "/.well-known/openid-configuration"
        status = 200 if is_there and state["serve"] != "error" else 500
        if state["serve"] == "nothing":
            self.close_connection = True
            return
        if state["serve"] == "much":
            body += b" " * 10_000_000
        self.send_response(status)
        self.send_header("Content-Type", "application/jwk-set+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            # Whoever is told too much goes away.
            self.close_connection = True

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
server.socket = common.server_tls(OPTIONS).wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()


def publish():
    with open(OPTIONS.out + ".new", "w") as file:
        file.write(key_set())
    os.replace(OPTIONS.out + ".new", OPTIONS.out)


publish()
common.ready(server.server_address[1])
for number, line in enumerate(sys.stdin, 1):
    order = json.loads(line)
    answer = {"id": number}
    if "token" in order:
        answer["token"] = token(order)
    elif "publish" in order:
        state["keys"] = order["publish"]
        publish()
    elif "serve" in order:
        state["serve"] = order["serve"]
    elif "describe" in order:
        state["described"] = {"issuer": order["describe"], "jwks_uri": order["jwks_uri"]}
    answer["asked"] = state["asked"]
    common.say(**answer)

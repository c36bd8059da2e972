"""gRPC by grpcio, through `--proxy`, to the origin of origin_grpc.py.

--mode suite      every kind of call, on one channel
--mode many       many calls side by side on one channel
--mode cancel     takes back a call under way and lets another one run out of time
--mode failing    one call; tells the status
--mode slow       a stream that the origin ends when it is asked to; every message is told
"""

import os
import sys
import threading
import time
from concurrent import futures
from urllib.parse import urlsplit

import grpc

import common

OPTIONS = common.arguments("mode")
MEGABYTES = 4 << 20


def channel():
    url, proxy = urlsplit(OPTIONS.url), urlsplit(OPTIONS.proxy)
    with open(OPTIONS.ca, "rb") as file:
        trusted = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(
        url.netloc,
        trusted,
        [
            ("grpc.http_proxy", f"http://{proxy.netloc}"),
            ("grpc.max_receive_message_length", 8 << 20),
            ("grpc.enable_retries", 0),
        ],
    )


def calls(to):
    """The four kinds of call, over bytes as they are."""
    return {
        "unary": to.unary_unary("/test.Echo/Unary"),
        "down": to.unary_stream("/test.Echo/Down"),
        "up": to.stream_unary("/test.Echo/Up"),
        "both": to.stream_stream("/test.Echo/Both"),
        "fail": to.unary_unary("/test.Echo/Fail"),
        "wait": to.unary_unary("/test.Echo/Wait"),
        "hold": to.stream_stream("/test.Echo/Hold"),
        "nothing": to.unary_unary("/test.Echo/Nothing"),
    }


def status(call):
    """How a call fails."""
    try:
        call()
    except grpc.RpcError as error:
        found = {"code": error.code().name, "details": error.details()}
        found["trailers"] = {
            name: value.hex() if isinstance(value, bytes) else value for name, value in error.trailing_metadata() or ()
        }
        return found
    raise AssertionError("it did not fail")


class Asking:
    """Messages to send, one by one while answers come."""

    def __init__(self):
        self.ready = threading.Condition()
        self.queue = []

    def put(self, message):
        with self.ready:
            self.queue.append(message)
            self.ready.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self.ready:
            self.ready.wait_for(lambda: self.queue)
            message = self.queue.pop(0)
        if message is None:
            raise StopIteration
        return message


def suite():
    with channel() as to:
        call = calls(to)
        odd = bytes(range(256))
        answer, details = call["unary"].with_call(
            b"hello", metadata=(("x-odd-bin", odd), ("x-plain", "value")), timeout=30
        )
        assert answer == b"hello"
        first = dict(details.initial_metadata())
        last = dict(details.trailing_metadata())
        assert first["x-odd-bin"] == odd and last["x-odd-bin"] == odd, (first, last)
        assert last["x-plain"] == "value", last
        assert call["unary"](b"", timeout=30) == b""
        large = os.urandom(MEGABYTES)
        assert call["unary"](large, timeout=60) == large
        assert call["unary"](b"packed" * 1000, timeout=30, compression=grpc.Compression.Gzip) == b"packed" * 1000

        pieces = list(call["down"](b"7", timeout=30))
        assert pieces == [str(n).encode() for n in range(7)], pieces
        assert call["up"](iter([b"a", b"bc", large]), timeout=60) == str(3 + MEGABYTES).encode()

        # Each message is answered before the next one is asked: neither side's stream has ended.
        asking = Asking()
        talk = call["both"](asking, timeout=60)
        for n in range(200):
            asking.put(str(n).encode())
            assert next(talk) == b"re: " + str(n).encode()
        asking.put(None)
        assert list(talk) == []
        assert talk.code() is grpc.StatusCode.OK

        return {
            "failed": status(lambda: call["fail"](b"FAILED_PRECONDITION", timeout=30)),
            "unknown": status(lambda: call["nothing"](b"", timeout=30)),
            "too_large": status(lambda: call["unary"](b"x" * (9 << 20), timeout=60)),
        }


def many():
    with channel() as to:
        call = calls(to)
        asked = [call["unary"].future(str(n).encode() * 100, timeout=60) for n in range(500)]
        for n, one in enumerate(asked):
            assert one.result() == str(n).encode() * 100
        with futures.ThreadPoolExecutor(20) as pool:
            listed = list(pool.map(lambda n: len(list(call["down"](str(n).encode(), timeout=60))), range(100)))
        assert listed == list(range(100))
        return {"unary": len(asked), "streams": len(listed)}


def cancel():
    with channel() as to:
        call = calls(to)
        late = status(lambda: call["wait"](b"deadline", timeout=0.5))
        one = call["wait"].future(b"cancel", timeout=60)
        common.say(waiting=True)
        sys.stdin.readline()
        one.cancel()
        asking = Asking()
        talk = call["hold"](asking, timeout=60)
        asking.put(b"stream")
        assert next(talk) == b"stream"
        talk.cancel()
        # The channel has borne it.
        assert call["unary"](b"after", timeout=30) == b"after"
        common.say(taken_back=True)
        sys.stdin.readline()
        return {"late": late, "cancelled": one.cancelled()}


def failing():
    with channel() as to:
        began = time.monotonic()
        found = status(lambda: calls(to)["unary"](b"hello", timeout=20))
        return {**found, "seconds": time.monotonic() - began}


common.main({"suite": suite, "many": many, "cancel": cancel, "failing": failing}[OPTIONS.mode])

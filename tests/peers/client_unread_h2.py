"""A client that fills every buffer on its way with a download that it does not read, then sends frames that bring nothing,
and never reads what it is told. Says after how many seconds it was closed."""

import fcntl
import select
import ssl
import struct
import termios
import time
from urllib.parse import urlsplit

import common
from h2raw import *

OPTIONS = common.arguments()
TARGET = urlsplit(OPTIONS.url).netloc
WIDE = (1 << 31) - 1
PATIENCE = 50


def request(path):
    return [(":method", "GET"), (":scheme", "https"), (":authority", TARGET), (":path", path)]


def unread(sock):
    """What the kernel holds for this end, in bytes."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0\0\0\0"))[0]


def main():
    wire = Wire(tunnel(OPTIONS, TARGET))
    wire.send(PREFACE, settings((4, WIDE)), frame(WINDOW_UPDATE, 0, 0, u32(WIDE - 65535)))
    wire.wait("settings")
    wire.send(wire.head(1, request("/endless")))
    held, same = 0, 0
    while same < 20:
        time.sleep(0.02)
        held, before = unread(wire.sock), held
        same = same + 1 if held == before and held else 0
    wire.sock.setblocking(False)
    sent, blocked = 0, None
    batch = frame(0x16, 0, 0, b"") * 1000
    try:
        while True:
            rest = memoryview(batch)
            while rest:
                try:
                    rest = rest[wire.sock.send(rest) :]
                    sent, blocked = sent + 1, None
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    blocked = blocked or time.monotonic()
                    assert time.monotonic() - blocked < PATIENCE, f"still open after {sent}"
                    select.select([], [wire.sock], [], 0.1)
    except OSError as error:
        common.say(error=str(error))
    return {"held": held, "sent": sent, "seconds": round(time.monotonic() - blocked, 2) if blocked else 0}


common.main(main)

"""HTTP/1.1 on TCP at one end, HTTP/2 in TLS at the other (Python's `h11` and `h2`): whoever only has HTTP/1.1, a library
or a test that writes bytes, speaks HTTP/2 through it, WebSockets as of RFC 8441 included.

For clients, with --url and --proxy: listens, and makes of each request a stream of one connection to the host of --url.
--connect HOST:PORT  what the proxy is asked for instead of the host of --url
--front HOST:PORT    speaks HTTP/2 with the proxy itself, in TLS there, and asks it for http:// URLs
--authorization VALUE  who the proxy is shown to be there, as Proxy-Authorization
For origins, with --cert, --key and --to: makes of each stream a request to the port --to.

--cut N  sends what comes in pieces of random sizes, some of them padded, some empty (N seeds them)

The end of a stream is the end of the half of a socket, a reset is a reset. What happens is told.
"""

import asyncio
import base64
import hashlib
import os
import random
import socket
import struct
from urllib.parse import urlsplit

import h11
import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

import common

OPTIONS = common.arguments("to", "cut", "connect", "front", "authorization")
CHANCE = random.Random(int(OPTIONS.cut)) if OPTIONS.cut else None
CONNECTION = {b"connection", b"upgrade", b"keep-alive", b"proxy-connection", b"transfer-encoding"}
CANCEL = 8
# DATA frames without content that a connection may have before the `h2` crate takes them for a flood: 100 in its life.
EMPTY = 50
# This library ends its streams at a GOAWAY. RFC 9113 section 6.8 lets them go on.
MACHINE, INPUTS = h2.connection.H2ConnectionStateMachine, h2.connection.ConnectionInputs
for state in (h2.connection.ConnectionState.CLIENT_OPEN, h2.connection.ConnectionState.SERVER_OPEN):
    assert (state, INPUTS.RECV_GOAWAY) in MACHINE._transitions
    MACHINE._transitions[(state, INPUTS.RECV_GOAWAY)] = (None, state)


class Broken(Exception):
    """The other end has gone without a word; the code, if there was one."""


class Stream:
    """One stream: what came, and the room for what is to be sent."""

    def __init__(self, session, number):
        self.session, self.number = session, number
        self.came = asyncio.Queue()
        self.room, self.broken = asyncio.Event(), asyncio.Event()

    async def next(self):
        """`(kind, what)`: head, early, data, trailers, end."""
        kind, what = await self.came.get()
        if kind == "broken":
            raise Broken(what)
        return kind, what

    def taken(self, length):
        self.session.say(lambda h2: h2.acknowledge_received_data(length, self.number))

    async def send(self, data):
        view = memoryview(data)
        while view:
            if CHANCE and self.session.empty < EMPTY and CHANCE.random() < 0.1:
                self.session.empty += 1
                self.session.say(lambda h2: h2.send_data(self.number, b""))
            room = self.session.room(self.number)
            if room <= 0 and self.session.is_closed:
                raise Broken(None)
            if room <= 0:
                self.room.clear()
                await self.room.wait()
                continue
            size = min(len(view), room, CHANCE.choice((1, 2, 7, 130, 16000)) if CHANCE else room)
            piece, padding = bytes(view[:size]), None
            view = view[size:]
            if CHANCE and room > size + 20 and CHANCE.random() < 0.3:
                padding = CHANCE.randrange(20)
            self.session.say(lambda h2: h2.send_data(self.number, piece, pad_length=padding))
            await self.session.flush()

    def head(self, fields, over=False):
        self.session.say(lambda h2: h2.send_headers(self.number, fields, end_stream=over))

    def end(self):
        self.session.say(lambda h2: h2.end_stream(self.number))

    def reset(self, code=CANCEL):
        self.session.say(lambda h2: h2.reset_stream(self.number, code))


class Session:
    """A connection of HTTP/2, and its streams."""

    def __init__(self, reader, writer, is_client, opened=None):
        self.reader, self.writer, self.opened = reader, writer, opened
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=is_client, header_encoding=False))
        self.streams = {}
        self.empty = 0
        self.is_over = self.is_closed = False
        self.settled = asyncio.Event()
        codes = h2.settings.SettingCodes
        values = {codes.ENABLE_PUSH: 0} if is_client else {codes.ENABLE_CONNECT_PROTOCOL: 1}
        values[codes.MAX_CONCURRENT_STREAMS] = 100
        self.h2.local_settings = h2.settings.Settings(client=is_client, initial_values=values)
        self.say(lambda h2: h2.initiate_connection())
        self.running = asyncio.ensure_future(self.run())

    def say(self, what):
        """False where the peer no longer hears it."""
        try:
            what(self.h2)
        except (h2.exceptions.ProtocolError, KeyError):
            return False
        self.writer.write(self.h2.data_to_send())
        return True

    def room(self, number):
        try:
            return min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
        except (h2.exceptions.ProtocolError, KeyError):
            raise Broken(None) from None

    async def flush(self):
        try:
            await self.writer.drain()
        except OSError:
            raise Broken(None) from None

    def ask(self, fields, over):
        stream = Stream(self, self.h2.get_next_available_stream_id())
        self.streams[stream.number] = stream
        if not self.say(lambda h2: h2.send_headers(stream.number, fields, end_stream=over)):
            raise Broken(None)
        return stream

    async def run(self):
        try:
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self.heard(event)
                self.writer.write(self.h2.data_to_send())
        except (OSError, h2.exceptions.ProtocolError) as error:
            common.say(session="broken", error=str(error))
        self.is_over = self.is_closed = True
        self.settled.set()
        for stream in self.streams.values():
            stream.came.put_nowait(("broken", None))
            stream.room.set()
            stream.broken.set()
        common.say(session="closed")
        self.writer.close()

    def heard(self, event):
        events = h2.events
        if isinstance(event, events.RemoteSettingsChanged):
            self.settled.set()
        if isinstance(event, (events.RemoteSettingsChanged, events.WindowUpdated)):
            for stream in self.streams.values():
                stream.room.set()
        if isinstance(event, events.ConnectionTerminated):
            self.is_over = True
            common.say(goaway=int(event.error_code))
        if isinstance(event, events.RequestReceived):
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id)
            asked = {name.decode(): value.decode() for name, value in event.headers if name.startswith(b":")}
            common.say(asked=asked)
            asyncio.ensure_future(self.opened(stream, event.headers, event.stream_ended is not None))
        stream = self.streams.get(getattr(event, "stream_id", None))
        if stream is None:
            return
        if isinstance(event, events.ResponseReceived):
            stream.came.put_nowait(("head", event.headers))
        elif isinstance(event, events.InformationalResponseReceived):
            stream.came.put_nowait(("early", event.headers))
        elif isinstance(event, events.TrailersReceived):
            stream.came.put_nowait(("trailers", event.headers))
        elif isinstance(event, events.DataReceived):
            # What pads it has nobody to take it.
            stream.taken(event.flow_controlled_length - len(event.data))
            stream.came.put_nowait(("data", event.data))
        elif isinstance(event, events.StreamEnded):
            stream.came.put_nowait(("end", None))
        elif isinstance(event, events.StreamReset):
            common.say(stream=event.stream_id, reset=int(event.error_code))
            stream.came.put_nowait(("broken", int(event.error_code)))
            stream.room.set()
            stream.broken.set()


def cut(writer):
    """A socket that ends with a reset."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def copied(stream, reader, writer, begun):
    """Moves bytes both ways until both halves have ended, or one end has broken."""

    async def out():
        if begun:
            await stream.send(begun)
        while data := await reader.read(65536):
            await stream.send(data)
        stream.end()

    async def back():
        while True:
            kind, what = await stream.next()
            if kind == "end":
                writer.write_eof()
                return
            if kind == "data":
                writer.write(what)
                await writer.drain()
                stream.taken(len(what))

    ways = [asyncio.ensure_future(way) for way in (out(), back())]
    try:
        await asyncio.gather(*ways)
        writer.close()
    except (Broken, OSError) as error:
        for way in ways:
            way.cancel()
        if isinstance(error, OSError):
            stream.reset()
        cut(writer)


class Http1:
    """One end of a socket that speaks HTTP/1.1."""

    def __init__(self, reader, writer, role):
        self.reader, self.writer = reader, writer
        self.h11 = h11.Connection(role, max_incomplete_event_size=1 << 20)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def next(self):
        while (event := self.h11.next_event()) is h11.NEED_DATA:
            self.h11.receive_data(await self.reader.read(65536))
        return event

    async def send(self, event):
        data = self.h11.send(event)
        if data:
            self.writer.write(data)
            await self.writer.drain()

    def is_over(self):
        return self.reader.at_eof() or self.reader.exception() is not None

    def rest(self):
        return self.h11.trailing_data[0]


def plain(fields):
    return [(name, value) for name, value in fields if name not in CONNECTION and not name.startswith(b":")]


def pseudo(fields):
    return {name: value for name, value in fields if name.startswith(b":")}


async def content(http1, stream):
    """What follows a head of HTTP/1.1, into a stream."""
    while True:
        event = await http1.next()
        if isinstance(event, h11.Data):
            await stream.send(event.data)
        elif isinstance(event, h11.EndOfMessage):
            if event.headers:
                return stream.head(list(event.headers), over=True)
            return stream.end()
        else:
            raise Broken(None)


async def message(http1, stream):
    """What follows a head of HTTP/2, into a socket."""
    trailers = []
    while True:
        kind, what = await stream.next()
        if kind == "data":
            await http1.send(h11.Data(data=what))
            stream.taken(len(what))
        elif kind == "trailers":
            trailers = what
        elif kind == "end":
            return await http1.send(h11.EndOfMessage(headers=trailers))


def is_upgrade(fields):
    return any(name == b"upgrade" and value.lower() == b"websocket" for name, value in fields)


class Client:
    """Requests that come as HTTP/1.1, all to one origin."""

    def __init__(self):
        self.target = urlsplit(OPTIONS.url).netloc
        self.session = None
        self.opening = asyncio.Lock()

    async def reach(self):
        async with self.opening:
            if self.session is None or self.session.is_over:
                proxy = urlsplit(f"//{OPTIONS.front}" if OPTIONS.front else OPTIONS.proxy)
                reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
                if not OPTIONS.front:
                    asked = OPTIONS.connect or self.target
                    shown = f"Proxy-Authorization: {OPTIONS.authorization}\r\n" if OPTIONS.authorization else ""
                    writer.write(f"CONNECT {asked} HTTP/1.1\r\nHost: {asked}\r\n{shown}\r\n".encode())
                    answer = await reader.readuntil(b"\r\n\r\n")
                    assert answer.startswith(b"HTTP/1.1 200"), answer
                context = common.client_tls(OPTIONS)
                context.set_alpn_protocols(["h2"])
                name = proxy.hostname if OPTIONS.front else self.target.rsplit(":", 1)[0]
                await writer.start_tls(context, server_hostname=name)
                assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
                self.session = Session(reader, writer, True)
                await self.session.settled.wait()
                common.say(connect=bool(self.session.h2.remote_settings.enable_connect_protocol))
            return self.session

    async def accepted(self, reader, writer):
        http1 = Http1(reader, writer, h11.SERVER)
        try:
            session = await self.reach()
            while await self.exchange(session, http1):
                http1.h11.start_next_cycle()
            writer.close()
        except (Broken, OSError, h11.ProtocolError):
            cut(writer)

    async def exchange(self, session, http1):
        """One request; whether there may be another."""
        request = await http1.next()
        if not isinstance(request, h11.Request):
            return False
        fields = list(request.headers)
        host = dict(fields).get(b"host", b"")
        if host == b"127.0.0.1:%d" % http1.writer.get_extra_info("sockname")[1]:
            # A library that was given the address of this bridge.
            host = self.target.encode()
        scheme = b"http" if OPTIONS.front else b"https"
        head = [(b":method", request.method), (b":scheme", scheme), (b":authority", host), (b":path", request.target)]
        head += [field for field in plain(fields) if field[0] != b"host"]
        if is_upgrade(fields):
            return await self.upgrade(session, http1, head, dict(fields).get(b"sec-websocket-key", b""))
        length, chunked = dict(fields).get(b"content-length", b"0"), b"transfer-encoding" in dict(fields)
        over = length == b"0" and not chunked
        stream = session.ask(head, over)
        sending = None if over else asyncio.ensure_future(content(http1, stream))
        if over:
            await http1.next()
        else:

            def ended(task):
                # A request that breaks off has no response that would be worth waiting for.
                if not task.cancelled() and task.exception():
                    stream.reset()
                    stream.came.put_nowait(("broken", None))

            sending.add_done_callback(ended)
        try:
            await self.response(http1, stream, *await stream.next())
            # Whatever the origin said, the client's own words are read to their end.
            if sending:
                await sending
        except BaseException:
            stream.reset()
            raise
        finally:
            if sending:
                sending.cancel()
        return http1.h11.our_state is h11.DONE and http1.h11.their_state is h11.DONE

    async def response(self, http1, stream, kind, fields):
        while kind == "early":
            status = int(pseudo(fields)[b":status"])
            await http1.send(h11.InformationalResponse(status_code=status, headers=plain(fields)))
            kind, fields = await stream.next()
        status = int(pseudo(fields)[b":status"])
        await http1.send(h11.Response(status_code=status, headers=plain(fields)))
        await message(http1, stream)

    async def upgrade(self, session, http1, head, key):
        await http1.next()
        head[0] = (b":method", b"CONNECT")
        head.insert(1, (b":protocol", b"websocket"))
        stream = session.ask([field for field in head if field[0] != b"sec-websocket-key"], False)
        # What the client does not wait with is not kept back here either.
        await stream.send(http1.rest())
        kind, fields = await stream.next()
        if int(pseudo(fields)[b":status"]) != 200:
            await self.response(http1, stream, kind, fields)
            stream.reset()
            return False
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        agreed = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
        agreed += [(b"Sec-WebSocket-Accept", base64.b64encode(digest)), *plain(fields)]
        await http1.send(h11.InformationalResponse(status_code=101, headers=agreed))
        await copied(stream, http1.reader, http1.writer, b"")
        return False


class Origin:
    """Streams that become requests of HTTP/1.1, on as few sockets as can be."""

    def __init__(self):
        self.idle = []

    async def accepted(self, reader, writer):
        await Session(reader, writer, False, self.opened).running

    async def opened(self, stream, fields, over):
        http1 = None
        try:
            self.idle = [one for one in self.idle if not one.is_over()]
            if self.idle:
                http1 = self.idle.pop()
                http1.h11.start_next_cycle()
            else:
                http1 = Http1(*await asyncio.open_connection("127.0.0.1", int(OPTIONS.to)), h11.CLIENT)
            if await self.exchange(http1, stream, fields, over):
                self.idle.append(http1)
            else:
                http1.writer.close()
        except (Broken, OSError, h11.ProtocolError) as error:
            stream.reset(2 if not isinstance(error, Broken) else CANCEL)
            if http1:
                cut(http1.writer)

    async def exchange(self, http1, stream, fields, over):
        asked = pseudo(fields)
        head = [(b"Host", asked[b":authority"]), *plain(fields)]
        if asked.get(b":protocol") == b"websocket":
            return await self.upgrade(http1, stream, asked, head)
        if not over and b"content-length" not in dict(head):
            head.append((b"Transfer-Encoding", b"chunked"))
        await http1.send(h11.Request(method=asked[b":method"], target=asked[b":path"], headers=head))
        sending = asyncio.ensure_future(message(http1, stream))
        answering = asyncio.ensure_future(self.response(http1, stream))
        breaking = asyncio.ensure_future(stream.broken.wait())
        both = asyncio.gather(sending, answering)
        try:
            await asyncio.wait((both, breaking), return_when=asyncio.FIRST_COMPLETED)
            if not both.done():
                raise Broken(None)
            await both
        finally:
            for task in (sending, answering, breaking, both):
                task.cancel()
        return http1.h11.our_state is h11.DONE and http1.h11.their_state is h11.DONE

    async def response(self, http1, stream):
        event = await http1.next()
        while isinstance(event, h11.InformationalResponse):
            stream.head([(b":status", b"%d" % event.status_code), *plain(event.headers)])
            event = await http1.next()
        if not isinstance(event, h11.Response):
            raise Broken(None)
        stream.head([(b":status", b"%d" % event.status_code), *plain(event.headers)])
        await content(http1, stream)

    async def upgrade(self, http1, stream, asked, head):
        head += [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
        head.append((b"Sec-WebSocket-Key", base64.b64encode(os.urandom(16))))
        await http1.send(h11.Request(method=b"GET", target=asked[b":path"], headers=head))
        await http1.send(h11.EndOfMessage())
        event = await http1.next()
        if not isinstance(event, h11.InformationalResponse) or event.status_code != 101:
            stream.head([(b":status", b"%d" % event.status_code), *plain(event.headers)])
            await content(http1, stream)
            return False
        agreed = [(name, value) for name, value in plain(event.headers) if name != b"sec-websocket-accept"]
        stream.head([(b":status", b"200"), *agreed])
        await copied(stream, http1.reader, http1.writer, http1.rest())
        return False


async def main():
    end = Origin() if OPTIONS.to else Client()
    tls = common.server_tls(OPTIONS, ("h2",)) if OPTIONS.to else None
    server = await asyncio.start_server(end.accepted, "127.0.0.1", 0, ssl=tls)
    common.ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())

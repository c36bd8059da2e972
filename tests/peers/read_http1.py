"""h11 as a reader: what messages it sees in the bytes of each line of `--file`."""

import json

import h11

import common


def told(messages, trouble=None):
    print(json.dumps({"messages": [[line.hex(), body.hex()] for line, body in messages], "trouble": trouble}))


def left(connection):
    """What it has not read."""
    rest, _ = connection.trailing_data
    return f"left over: {rest!r}" if rest else None


def requests(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    messages, line, body = [], b"", b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return told(messages, str(error))
        if event is h11.NEED_DATA:
            return told(messages, "more is needed" if connection.their_state is h11.SEND_BODY else left(connection))
        if event is h11.PAUSED:
            return told(messages, left(connection))
        if isinstance(event, h11.Request):
            line, body = event.method + b" " + event.target, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            messages.append((line, body))
            # Anything but the tunnel that CONNECT asks for.
            status = 405 if line.startswith(b"CONNECT ") else 200
            connection.send(h11.Response(status_code=status, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return told(messages, left(connection))
            connection.start_next_cycle()


def responses(data, asks):
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    messages, ended = [], False
    connection.receive_data(data)
    for ask in asks:
        connection.send(h11.Request(method=ask, target="/", headers=[("host", "reader")]))
        connection.send(h11.EndOfMessage())
        line, body = b"", b""
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                return told(messages, str(error))
            if event is h11.NEED_DATA:
                if not connection.trailing_data[0] and connection.their_state is h11.SEND_RESPONSE:
                    # Nothing of another response.
                    return told(messages, "more is needed" if line else None)
                connection.receive_data(b"")
            elif isinstance(event, h11.Response):
                line, body = str(event.status_code).encode(), b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, (h11.ConnectionClosed, h11.EndOfMessage)) or event is h11.PAUSED:
                break
        if not isinstance(event, h11.EndOfMessage):
            return told(messages, f"no response: {event!r}")
        messages.append((line, body))
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return told(messages, left(connection))
        connection.start_next_cycle()
    told(messages, left(connection))


with open(common.arguments("file").file) as lines:
    for text in lines:
        case = json.loads(text)
        data = bytes.fromhex(case["bytes"])
        if case["asks"] is None:
            requests(data)
        else:
            responses(data, case["asks"])

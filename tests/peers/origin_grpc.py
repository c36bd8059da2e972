"""A gRPC origin on grpcio, without protobuf: messages are bytes as they are.

/test.Echo/Unary  the message, with its x- metadata in front and behind
/test.Echo/Down   as many messages as the message says
/test.Echo/Up     the length of all messages
/test.Echo/Both   each message as it comes
/test.Echo/Fail   the status that the message names, with trailers and nothing else
/test.Echo/Wait   nothing until the client has gone, which is told
/test.Echo/Hold   each message as it comes; tells when the client has gone
"""

import threading
from concurrent import futures

import grpc

import common

OPTIONS = common.arguments()


def unary(message, context):
    given = tuple((name, value) for name, value in context.invocation_metadata() if name.startswith("x-"))
    context.send_initial_metadata(given)
    context.set_trailing_metadata(given)
    return message


def down(message, _context):
    for n in range(int(message)):
        yield str(n).encode()


def up(messages, _context):
    return str(sum(map(len, messages))).encode()


def both(messages, _context):
    for message in messages:
        yield b"re: " + message


def fail(message, context):
    context.set_trailing_metadata((("x-why-bin", bytes(range(4))),))
    context.abort(grpc.StatusCode[message.decode()], "as it was asked: ü")


def wait(message, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    common.say(began=message.decode())
    gone.wait()
    common.say(gone=message.decode())
    return b""


def hold(messages, context):
    first = next(messages)
    context.add_callback(lambda: common.say(gone=first.decode()))
    yield first
    for message in messages:
        yield message


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Both": grpc.stream_stream_rpc_method_handler(both),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Wait": grpc.unary_unary_rpc_method_handler(wait),
    "Hold": grpc.stream_stream_rpc_method_handler(hold),
}

server = grpc.server(
    futures.ThreadPoolExecutor(60),
    options=[("grpc.max_receive_message_length", 8 << 20)],
)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", HANDLERS),))
with open(OPTIONS.key, "rb") as key, open(OPTIONS.cert, "rb") as cert:
    identity = grpc.ssl_server_credentials([(key.read(), cert.read())])
port = server.add_secure_port("127.0.0.1:0", identity)
server.start()
common.ready(port)
server.wait_for_termination()

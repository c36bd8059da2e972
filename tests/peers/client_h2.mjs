// A client on Node's `http2`, through a CONNECT of --proxy and TLS that trusts --ca. --mode says what it does, --alpn
// what it offers.
import { connect, constants } from 'node:http2';
import { request } from 'node:http';
import { connect as dial } from 'node:net';
import { connect as startTls } from 'node:tls';
import { createInterface } from 'node:readline';
import { randomBytes } from 'node:crypto';
import WebSocket, { PerMessageDeflate, extension } from 'ws';
import { ca, check, main, once, options, say } from './common.mjs';

const { host, hostname, port } = new URL(options.url);

/** A tunnel through the proxy, if there is one. */
async function reach() {
  if (!options.proxy) return dial({ host: '127.0.0.1', port });
  const proxy = new URL(options.proxy);
  const ask = request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: host });
  ask.end();
  const [response, tunnel] = await once(ask, 'connect');
  check(response.statusCode === 200, `CONNECT: ${response.statusCode}`);
  return tunnel;
}

/** A session with the origin. */
async function open(settings) {
  const tunnel = await reach();
  const socket = startTls({ socket: tunnel, servername: hostname, ca: ca(), ALPNProtocols: options.alpn?.split(',') ?? ['h2', 'http/1.1'] });
  await once(socket, 'secureConnect');
  check(socket.alpnProtocol === 'h2', `ALPN: ${socket.alpnProtocol}`);
  const session = connect(`https://${host}`, { createConnection: () => socket, settings });
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

/** One exchange: what came, until the stream closed. */
function exchange(session, headers, body, trailers) {
  return new Promise((resolve) => {
    const stream = session.request(
      { ':path': '/', ...headers },
      { endStream: body === undefined, waitForTrailers: trailers !== undefined },
    );
    const found = { early: [], body: '', trailers: {} };
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('headers', (early) => found.early.push([early[':status'], early.link ?? null]));
    stream.on('response', (response) => { found.status = response[':status']; found.headers = response; });
    stream.on('trailers', (last) => { found.trailers = last; });
    stream.on('data', (data) => { found.body += data; });
    stream.on('error', (error) => { found.error = error.message; });
    stream.on('close', () => resolve({ ...found, code: stream.rstCode }));
    if (body !== undefined) stream.end(body);
  });
}

/** A WebSocket of `ws` on a stream (RFC 8441). */
async function websocket(session, path, offer = 'permessage-deflate') {
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': path,
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'chat.v2, other',
    ...(offer ? { 'sec-websocket-extensions': offer } : {}),
  }, { endStream: false });
  const [head] = await once(stream, 'response');
  if (head[':status'] !== 200) return { head, stream };
  const socket = new WebSocket(null, undefined, {});
  socket._isServer = false;
  const agreed = head['sec-websocket-extensions'];
  if (agreed) {
    const deflate = new PerMessageDeflate({ threshold: 0, isServer: false, maxPayload: 64 << 20 });
    deflate.accept(extension.parse(agreed)['permessage-deflate']);
    socket._extensions['permessage-deflate'] = deflate;
  }
  socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 64 << 20, allowSynchronousEvents: true });
  // Over HTTP/2 the origin has no connection to close first.
  socket._receiver.once('conclude', () => setImmediate(() => stream.end()));
  return { head, stream, socket };
}

async function echo(socket, data) {
  socket.send(data);
  const [back, isBinary] = await once(socket, 'message');
  const same = isBinary ? Buffer.compare(back, data) === 0 : back.toString() === data;
  check(same, `echo of ${data.length}`);
}

async function close(socket) {
  const closed = once(socket, 'close');
  socket.close(4003, 'node done');
  return (await closed)[0];
}

const modes = {
  // Every kind of exchange, all on one connection.
  async exchanges(session) {
    const all = await Promise.all([
      exchange(session, { ':path': '/echo', ':method': 'POST' }, 'x'.repeat(1 << 20)),
      exchange(session, { ':path': '/trailers' }),
      exchange(session, { ':path': '/early' }),
      exchange(session, { ':path': '/status/204' }),
      exchange(session, { ':path': '/status/304' }),
      exchange(session, { ':path': '/page', ':method': 'HEAD' }),
      exchange(session, { ':path': '/head', cookie: ['a=1', 'b=2', 'c=3'], te: 'trailers' }),
      exchange(session, { ':path': '/reset/8' }),
      exchange(session, { ':path': '/reset/7' }),
      exchange(session, { ':path': '/broken/2' }),
      exchange(session, { ':path': '/trailers/unsaid' }),
      exchange(session, { ':path': '/whole', ':method': 'POST' }, 'content', { 'x-sum': 'by node', 'x-unsaid': '1' }),
    ]);
    return { all: all.map((one) => ({ ...one, length: one.body.length, body: one.body.slice(0, 2000) })) };
  },
  // WebSockets beside each other and beside a download that nobody reads.
  async websockets(session) {
    const stuck = session.request({ ':path': '/endless' });
    await once(stuck, 'response');
    stuck.pause();
    const [one, two] = await Promise.all([websocket(session, '/ws/1'), websocket(session, '/ws/2', '')]);
    for (const length of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
      await Promise.all([
        echo(one.socket, randomBytes(length)),
        echo(two.socket, 'y'.repeat(length)),
      ]);
    }
    const pong = once(one.socket, 'pong');
    one.socket.ping('tick');
    check((await pong)[0].toString() === 'tick', 'the pong');
    const after = await exchange(session, { ':path': '/echo', ':method': 'POST' }, 'beside');
    await close(one.socket);
    await close(two.socket);
    stuck.close(constants.NGHTTP2_CANCEL);
    await once(stuck, 'close');
    return {
      beside: after.body,
      extensions: [one.head['sec-websocket-extensions'] ?? null, two.head['sec-websocket-extensions'] ?? null],
      subprotocol: one.head['sec-websocket-protocol'],
    };
  },
  // The path says what becomes of it; prints what happened to the WebSocket.
  async websocket(session) {
    const { pathname } = new URL(options.url);
    const { head, stream, socket } = await websocket(session, pathname);
    if (!socket) return { status: head[':status'] };
    let code = null;
    socket.on('error', () => {});
    socket.on('close', (found) => { code = found; });
    const ended = new Promise((resolve) => stream.on('close', resolve));
    say({ open: true });
    socket.send('hello');
    const messages = [];
    socket.on('message', (data) => { messages.push(data.toString()); say({ message: data.toString() }); });
    createInterface({ input: process.stdin }).on('line', (line) => socket.send(line));
    await ended;
    return { code, messages, reset: stream.rstCode };
  },
  // An extended CONNECT to something else.
  async other(session) {
    const stream = session.request(
      { ':method': 'CONNECT', ':protocol': 'echo', ':path': '/other' },
      { endStream: false },
    );
    const [head] = await once(stream, 'response');
    if (head[':status'] !== 200) return { status: head[':status'] };
    stream.write('anything');
    const [back] = await once(stream, 'data');
    stream.end();
    return { status: 200, back: back.toString() };
  },
  // Says goodbye behind an answer, with a code.
  async goodbye(session) {
    const found = await exchange(session, { ':path': '/status/204' });
    const closed = new Promise((resolve) => session.on('close', resolve));
    session.destroy(11);
    await closed;
    return found;
  },

  // Asks once, as the URL says, and waits for the end.
  async once(session) {
    const { pathname } = new URL(options.url);
    const goaway = new Promise((resolve) => session.once('goaway', (code) => resolve(code)));
    const found = await exchange(session, { ':path': pathname });
    const left = pathname.startsWith('/goaway') ? await goaway : null;
    return { ...found, goaway: left, connect: session.remoteSettings.enableConnectProtocol };
  },
  // Takes back what it asked for, many times.
  async resets(session) {
    const goaway = new Promise((resolve) => session.on('goaway', (code) => resolve(code)));
    let asked = 0;
    const flood = async () => {
      while (!session.closed && !session.destroyed && asked < 20_000) {
        const stream = session.request({ ':path': '/silent' });
        stream.on('error', () => {});
        asked += 1;
        // A turn of the loop writes what is asked, so that some are looked at and some are not.
        await new Promise((resolve) => setImmediate(resolve));
        stream.close(constants.NGHTTP2_CANCEL);
      }
    };
    await Promise.race([flood(), goaway]);
    return { asked, goaway: await goaway };
  },
  // Holds a request until its connection ends.
  async hold(session) {
    const found = exchange(session, { ':path': '/silent' });
    say({ holding: true });
    const goaway = new Promise((resolve) => session.on('goaway', (code) => resolve(code)));
    const code = await goaway;
    return { goaway: code, ...(await found) };
  },
};

main(async () => {
  const session = await open({ enablePush: false });
  const found = await modes[options.mode](session);
  session.close();
  return { ...found, settings: session.remoteSettings };
});

// A client that reaches the proxy by HTTP/2 inside TLS, on Node's own http2: each CONNECT is a stream.
//
// --proxy is the proxy's https:// URL, --target the host:port of a plain origin, --url that of one with TLS.
import { connect as http2, constants } from 'node:http2';
import { connect as tls } from 'node:tls';
import WebSocket from 'ws';
import { ca, check, main, once, options, say } from './common.mjs';

const session = http2(options.proxy, { ca: ca() });
// Streams report what becomes of them.
session.on('error', () => {});

/** A CONNECT, and what the proxy answers. */
async function connect(authority) {
  const stream = session.request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false });
  const [headers] = await once(stream, 'response');
  return { stream, headers, status: headers[':status'] };
}

async function tunnel(authority) {
  const { stream, status } = await connect(authority);
  check(status === 200, `${authority}: ${status}`);
  stream.on('error', () => {});
  return stream;
}

/** TLS with the origin inside a tunnel. */
async function secure(url) {
  const { hostname, host } = new URL(url);
  const socket = tls({ socket: await tunnel(host), servername: hostname, ca: ca() });
  await once(socket, 'secureConnect');
  return socket;
}

/** Everything up to the end of a stream. */
async function rest(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function get(url) {
  const { host, pathname } = new URL(url);
  const socket = await secure(url);
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const answer = await rest(socket);
  const head = answer.indexOf('\r\n\r\n');
  return { status: Number(answer.toString('latin1', 9, 12)), length: answer.length - head - 4 };
}

async function websocket(url) {
  const { hostname, host } = new URL(url);
  const below = await tunnel(host);
  const socket = new WebSocket(url, {
    createConnection: () => tls({ socket: below, servername: hostname, ca: ca() }),
  });
  await once(socket, 'open');
  return socket;
}

const modes = {
  /** A tunnel whose bytes nobody reads, one whose origin reads nothing, and others beside them. */
  async many() {
    const idle = await tunnel(options.target);
    const full = await tunnel(options.other);
    let sent = 0;
    // As much as the proxy takes.
    await new Promise((resolve) => {
      const piece = Buffer.alloc(64 << 10);
      const more = () => full.write(piece, () => { sent += piece.length; quiet.refresh(); more(); });
      const quiet = setTimeout(resolve, 500);
      more();
    });
    const gets = Promise.all(Array.from({ length: 8 }, () => get(options.page)));
    const socket = await websocket(options.url);
    let messages = 0;
    for (const length of [0, 1, 126, 65536, 1 << 20]) {
      const bytes = Buffer.alloc(length, 7);
      socket.send(bytes);
      const [back] = await once(socket, 'message');
      check(Buffer.compare(back, bytes) === 0, `message of ${length}`);
      messages += 1;
    }
    socket.close(4001);
    const [code] = await once(socket, 'close');
    const pages = await gets;
    // Now somebody reads.
    const got = (await rest(idle)).length;
    full.close(constants.NGHTTP2_CANCEL);
    return { pages, messages, code, sent, got };
  },

  /** A CONNECT that does not become a tunnel. */
  async refused() {
    const { stream, headers, status } = await connect(options.target);
    const text = (await rest(stream)).toString();
    return { status, proxyStatus: headers['proxy-status'], text };
  },

  /** The client closes a tunnel; the connection lives on. */
  async reset() {
    const stream = await tunnel(options.target);
    stream.write('hello');
    const [answer] = await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await once(stream, 'close');
    const next = await get(options.url);
    return { answer: answer.toString(), next: next.status };
  },

  /** Asks, and takes back what the proxy has already set out for. */
  async resets() {
    let code;
    session.on('goaway', (reason) => { code = reason; });
    await once(session, 'connect');
    // With an error, too.
    const ended = new Promise((resolve) => { session.on('close', resolve); });
    let asked = 0;
    while (!session.closed && !session.destroyed && asked < 20_000) {
      const streams = Array.from({ length: 100 }, () => session.request({
        ':method': 'GET', ':scheme': 'http', ':authority': options.target, ':path': '/',
      }));
      for (const stream of streams) stream.on('error', () => {});
      asked += streams.length;
      // The proxy has read them when it answers this.
      await Promise.race([new Promise((resolve) => { session.ping(resolve); }), ended]);
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    }
    await ended;
    return { asked, code };
  },

  /** The client is done; the origin still answers. */
  async half() {
    const stream = await tunnel(options.target);
    stream.end('question');
    const answer = (await rest(stream)).toString();
    return { answer, code: stream.rstCode };
  },

  /** The origin breaks off. */
  async broken() {
    const stream = await tunnel(options.target);
    stream.write('hello');
    const answer = [];
    stream.on('data', (piece) => {
      answer.push(piece);
      say({ read: piece.toString() });
    });
    // Which is an error, too.
    await new Promise((resolve) => { stream.once('close', resolve); });
    return { answer: Buffer.concat(answer).toString(), code: stream.rstCode };
  },

  /** A WebSocket is open while the proxy ends. */
  async drain() {
    const socket = await websocket(options.url);
    const away = once(session, 'goaway');
    const ended = once(session, 'close');
    say({ open: true });
    const [code] = await once(socket, 'close');
    const [reason] = await away;
    await ended;
    return { code, reason };
  },

  /** Nothing is asked for. */
  async idle() {
    await once(session, 'connect');
    const away = once(session, 'goaway');
    await once(session, 'close');
    return { reason: (await away)[0] };
  },

  /** More tunnels than there is room for. */
  async limit() {
    const answers = [];
    for (let n = 0; n < 4; n += 1) {
      const { headers, status } = await connect(options.target);
      answers.push({ status, proxyStatus: headers['proxy-status'], retryAfter: headers['retry-after'] });
    }
    return { answers };
  },

  /** Plain HTTP, without a tunnel: all at once on one connection. */
  async plain() {
    const { host } = new URL(options.url);
    const ask = async (head, body) => {
      const whole = { ':method': 'GET', ':scheme': 'http', ':authority': host, ...head };
      const stream = session.request(whole, { endStream: body === undefined });
      if (body !== undefined) stream.end(body);
      let interim = 0;
      stream.on('headers', () => { interim += 1; });
      const [headers] = await once(stream, 'response');
      const answer = await rest(stream);
      return { headers, answer, interim, status: headers[':status'] };
    };
    const upload = Buffer.alloc(700_000, 'plain ');
    const [got, posted, expected, headed, pieces, dead, secured] = await Promise.all([
      ask({ ':path': '/status/203' }),
      ask({ ':method': 'POST', ':path': '/echo' }, upload),
      ask({ ':method': 'POST', ':path': '/echo', expect: '100-continue', 'content-length': 5 }, 'hello'),
      ask({ ':method': 'HEAD', ':path': '/status/200' }),
      ask({ ':path': '/chunked' }),
      ask({ ':path': '/', ':authority': options.other }),
      ask({ ':path': '/', ':scheme': 'https' }),
    ]);
    check(Buffer.compare(posted.answer, upload) === 0, 'what was sent came back');
    check(expected.answer.toString() === 'hello', 'what was expected came back');
    // One that is given up before its response has ended.
    const given = session.request({
      ':method': 'GET', ':scheme': 'http', ':authority': host, ':path': '/slow',
    });
    await once(given, 'data');
    given.close(constants.NGHTTP2_CANCEL);
    await once(given, 'close');
    return {
      got: got.status,
      text: got.answer.toString(),
      posted: posted.status,
      framing: posted.headers['x-transfer-encoding'],
      interim: expected.interim,
      length: expected.headers['x-content-length'],
      headed: headed.status,
      chunks: pieces.answer.toString(),
      hop: pieces.headers['transfer-encoding'] ?? null,
      dead: dead.status,
      why: dead.headers['proxy-status'],
      secured: secured.status,
      advice: secured.answer.toString(),
    };
  },
};

main(() => modes[options.mode]());

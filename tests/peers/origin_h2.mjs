// An origin on Node's `http2`, which speaks RFC 8441 through `ws`: every stream is told, with what opened it.
//
// --mode plain leaves SETTINGS_ENABLE_CONNECT_PROTOCOL out.
import { createSecureServer, constants } from 'node:http2';
import { EventEmitter } from 'node:events';
import { WebSocketServer } from 'ws';
import { options, ready, say, serverTls } from './common.mjs';

const settings = { enableConnectProtocol: options.mode !== 'plain', maxConcurrentStreams: 50 };
const server = createSecureServer({ ...serverTls(), allowHTTP1: false, settings });
const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: { threshold: 0 },
  maxPayload: 64 << 20,
  handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
});

const page = `<!doctype html><meta charset="utf-8"><title>h2</title><script>
const next = (socket) => new Promise((resolve, reject) => {
  socket.onmessage = (event) => resolve(event.data);
  socket.onerror = () => reject(new Error('the WebSocket failed'));
});
async function echo(index) {
  const socket = new WebSocket('wss://' + location.host + '/ws');
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
  for (const length of [1, 126, 65536, 300000]) {
    const text = String(index).repeat(length);
    const back = next(socket);
    socket.send(text);
    if (await back !== text) throw new Error('text of ' + length);
  }
  const closed = new Promise((resolve) => { socket.onclose = resolve; });
  socket.close(4002, 'page done');
  const { code, wasClean } = await closed;
  return { code, wasClean, extensions: socket.extensions };
}
(async () => {
  const fetched = await (await fetch('/echo', { method: 'POST', body: 'x'.repeat(300000) })).text();
  const all = await Promise.all([1, 2, 3, 4].map(echo));
  const entry = performance.getEntriesByType('navigation')[0];
  return { fetched: fetched.length, all, protocol: entry.nextHopProtocol };
})().then((result) => { window.result = result; }, (error) => { window.result = { error: String(error) }; });
</script>`;

/** Gives a stream to `ws`: its handshake of HTTP/1.1 is written as one of HTTP/2 (RFC 8441 section 5). */
function websocket(stream, headers) {
  const request = new EventEmitter();
  request.method = 'GET';
  request.headers = {
    ...headers,
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const { write, end } = stream;
  // Node resets a stream whose peer has not ended it, and drops what is on its way.
  stream.end = () => (stream.readableEnded ? end.call(stream) : stream.once('end', () => end.call(stream)));
  stream.write = (head) => {
    stream.write = write;
    const lines = head.split('\r\n').map((line) => line.split(': '));
    const found = (name) => lines.find(([key]) => key.toLowerCase() === name)?.[1];
    const answer = { ':status': 200 };
    for (const name of ['sec-websocket-extensions', 'sec-websocket-protocol']) {
      if (found(name)) answer[name] = found(name);
    }
    stream.respond(answer);
    return true;
  };
  sockets.handleUpgrade(request, stream, Buffer.alloc(0), (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('close', (code) => say({ websocket: headers[':path'], code }));
    socket.on('error', () => {});
    if (headers[':path'].startsWith('/ws/reset/')) {
      socket.on('message', () => stream.close(Number(headers[':path'].split('/')[3])));
    }
  });
}

const routes = {
  echo: (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': headers['content-type'] ?? 'text/plain' });
    stream.pipe(stream);
  },
  page: (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'text/html; charset=utf-8' });
    stream.end(page);
  },
  // What came, field by field.
  head: (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(JSON.stringify(headers));
  },
  trailers: (stream, headers, unsaid) => {
    stream.respond({ ':status': 200, ...(unsaid ? {} : { trailer: 'x-sum' }) }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }));
    stream.end('content');
  },
  early: (stream) => {
    stream.additionalHeaders({ ':status': 102 });
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    stream.additionalHeaders({ ':status': 103, link: '</font.woff>; rel=preload' });
    stream.respond({ ':status': 200 });
    stream.end('late');
  },
  status: (stream, headers, code) => {
    stream.respond({ ':status': Number(code) }, { endStream: true });
  },
  // Before the response's head, and in the middle of its content.
  reset: (stream, headers, code) => stream.close(Number(code)),
  broken: (stream, headers, code) => {
    stream.respond({ ':status': 200 });
    stream.write('begun', () => stream.destroy(new Error(code)));
  },
  // Content for as long as somebody takes it.
  endless: (stream) => {
    stream.respond({ ':status': 200 });
    let sent = 0;
    const more = () => {
      while (!stream.destroyed) {
        sent += 65536;
        if (!stream.write(Buffer.alloc(65536))) return;
      }
    };
    stream.on('drain', more);
    stream.on('close', () => say({ endless: sent, code: stream.rstCode }));
    more();
  },
  silent: (stream) => {
    say({ silent: true });
    stream.on('close', () => say({ closed: 'silent', code: stream.rstCode }));
  },
  // Takes content and says how much when it ends.
  count: (stream) => {
    let count = 0;
    stream.on('data', (data) => { count += data.length; });
    stream.on('end', () => {
      if (stream.destroyed) return;
      stream.respond({ ':status': 200 });
      stream.end(String(count));
    });
  },
  // What came, with its trailers, and how much content there was in between.
  whole: (stream, headers) => {
    let [count, trailers] = [0, {}];
    stream.on('data', (data) => { count += data.length; });
    stream.on('trailers', (found) => { trailers = { ...found }; });
    stream.on('end', () => {
      if (stream.destroyed) return;
      say({ whole: count, trailers, long: headers['x-long']?.length ?? 0 });
      stream.respond({ ':status': 200, 'x-long': headers['x-long'] ?? '' });
      stream.end(String(count));
    });
  },
  // Takes nothing until it is asked for by /take.
  stall: (stream) => {
    stream.respond({ ':status': 200 });
    stalled.push(stream);
    say({ stalled: true });
  },
  goaway: (stream, headers, code) => {
    stream.session.goaway(Number(code));
    stream.respond({ ':status': 200 });
    stream.end('goodbye');
  },
};
const stalled = [];

server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  say({ method: headers[':method'], path: headers[':path'], protocol: headers[':protocol'] ?? null, id: stream.id });
  if (headers[':method'] === 'CONNECT') {
    if (headers[':protocol'] === 'websocket' && headers[':path'].startsWith('/ws')) return websocket(stream, headers);
    if (headers[':protocol'] === 'echo') {
      stream.respond({ ':status': 200 });
      return stream.pipe(stream);
    }
    return stream.respond({ ':status': 404 }, { endStream: true });
  }
  const [, name, argument] = headers[':path'].split('/');
  const route = routes[name || 'page'];
  if (!route) return stream.respond({ ':status': 404 }, { endStream: true });
  route(stream, headers, argument);
});
server.on('session', (session) => {
  session.on('close', () => say({ session: 'closed' }));
  session.on('goaway', (code) => say({ goaway: code }));
  session.on('error', () => {});
});
server.listen(0, '127.0.0.1', () => ready(server));

// An origin on Node's `ws`: a WebSocket echo with permessage-deflate on, and a page that talks to it.
//
// The page at / opens a WebSocket to its own origin, sends texts and binary data, and leaves what it saw in
// `window.result`.
import { createServer } from 'node:https';
import { createServer as createPlainServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { options, ready, serverTls } from './common.mjs';

const page = `<!doctype html><meta charset="utf-8"><title>echo</title><script>
async function talk() {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(scheme + '//' + location.host + '/echo', ['chat.v2', 'other']);
  socket.binaryType = 'arraybuffer';
  const inbox = [];
  let wake = () => {};
  socket.onmessage = (event) => { inbox.push(event.data); wake(); };
  let isOver = false;
  socket.addEventListener('close', () => { isOver = true; wake(); });
  const next = async () => {
    while (!inbox.length) {
      if (isOver) throw new Error('closed in the middle');
      await new Promise((resolve) => { wake = resolve; });
    }
    return inbox.shift();
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  });
  let messages = 0;
  for (const length of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    socket.send('x'.repeat(length));
    if (await next() !== 'x'.repeat(length)) throw new Error('text of ' + length);
    const bytes = Uint8Array.from({ length }, (_, index) => index * 7 % 256);
    socket.send(bytes);
    const back = new Uint8Array(await next());
    if (back.length !== length || back.some((byte, index) => byte !== bytes[index]))
      throw new Error('binary of ' + length);
    messages += 2;
  }
  const closed = new Promise((resolve) => { socket.onclose = resolve; });
  socket.close(4002, 'page done');
  const { code, wasClean } = await closed;
  return { messages, code, wasClean, extensions: socket.extensions, subprotocol: socket.protocol };
}
talk().then((result) => { window.result = result; }, (error) => { window.result = { error: String(error) }; });
</script>`;

const answer = (request, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(request.url === '/' ? page : '');
};
const server = options.cert ? createServer(serverTls(), answer) : createPlainServer(answer);
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: { threshold: 0 },
  maxPayload: 64 << 20,
  handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
});
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => {});
});
server.listen(0, '127.0.0.1', () => ready(server));

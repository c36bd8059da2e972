// A client on Node's `ws` behind `https-proxy-agent`: texts, binary data, pings, fragments, a close code.
import { randomBytes } from 'node:crypto';
import { HttpsProxyAgent } from 'https-proxy-agent';
import WebSocket from 'ws';
import { ca, check, main, once, options } from './common.mjs';

main(async () => {
  const socket = new WebSocket(options.url, ['chat.v2', 'other'], {
    agent: options.proxy ? new HttpsProxyAgent(options.proxy, { ca: ca() }) : undefined,
    ca: ca(),
    perMessageDeflate: { threshold: 0 },
    maxPayload: 64 << 20,
  });
  await once(socket, 'open');
  const issuer = socket._socket.getPeerCertificate().issuer.CN;

  let messages = 0;
  for (const length of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    const bytes = randomBytes(length);
    socket.send(bytes);
    const [back, isBinary] = await once(socket, 'message');
    check(isBinary && Buffer.compare(back, bytes) === 0, `binary of ${length}`);
    socket.send('y'.repeat(length));
    const [text, binary] = await once(socket, 'message');
    check(!binary && text.toString() === 'y'.repeat(length), `text of ${length}`);
    messages += 2;
  }

  const pong = once(socket, 'pong');
  socket.ping('tick');
  check((await pong)[0].toString() === 'tick', 'the pong');

  // Three fragments with a ping between them, each compressed on its own flush.
  const whole = once(socket, 'message');
  socket.send('one', { fin: false });
  socket.ping();
  socket.send('two', { fin: false });
  socket.send('three', { fin: true });
  check((await whole)[0].toString() === 'onetwothree', 'the fragments');
  messages += 1;

  const closed = once(socket, 'close');
  socket.close(4003, 'node done');
  const [code] = await closed;
  return { messages, code, issuer, extensions: socket.extensions, subprotocol: socket.protocol };
});

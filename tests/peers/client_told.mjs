// What programs are told of a host that they may not or cannot have, through --proxy: undici's fetch, and a WebSocket by `ws`;
// with --secure, the proxy's https:// URL, also a CONNECT on a stream of HTTP/2.
import { connect as http2 } from 'node:http2';
import { connect as tls } from 'node:tls';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { ProxyAgent, fetch } from 'undici';
import WebSocket from 'ws';
import { ca, main, once, options } from './common.mjs';

const { hostname } = new URL(options.url);

/** The status of a CONNECT on a stream of HTTP/2, and what is told inside of it. */
async function stream() {
  const session = http2(options.secure, { ca: ca() });
  const connect = session.request({ ':method': 'CONNECT', ':authority': `${hostname}:443` }, { endStream: false });
  const [headers] = await once(connect, 'response');
  const socket = tls({ socket: connect, servername: hostname, ca: ca(), ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  socket.write(`GET / HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  const pieces = [];
  for await (const piece of socket) pieces.push(piece);
  session.close();
  const answer = Buffer.concat(pieces).toString();
  return { connect: headers[':status'], status: Number(answer.slice(9, 12)), answer };
}

main(async () => {
  const dispatcher = new ProxyAgent({ uri: options.proxy, requestTls: { ca: ca() } });
  const answer = await fetch(options.url, { dispatcher });
  const fetched = {
    status: answer.status,
    proxyStatus: answer.headers.get('proxy-status'),
    text: await answer.text(),
  };
  const socket = new WebSocket(options.url.replace('https:', 'wss:'), {
    agent: new HttpsProxyAgent(options.proxy, { ca: ca() }),
    ca: ca(),
  });
  const [, refused] = await once(socket, 'unexpected-response');
  const websocket = { status: refused.statusCode, proxyStatus: refused.headers['proxy-status'] };
  refused.destroy();
  await dispatcher.close();
  return { fetched, websocket, ...(options.secure ? { stream: await stream() } : {}) };
});

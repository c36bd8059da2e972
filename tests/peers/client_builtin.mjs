// Node's built-in WebSocket and fetch, which find the proxy and the CA in the environment (HTTPS_PROXY with
// NODE_USE_ENV_PROXY, NODE_EXTRA_CA_CERTS); with --mode dispatcher, npm's undici with its ProxyAgent.
import * as undici from 'undici';
import { ca, check, main, options } from './common.mjs';

const explicit = options.mode === 'dispatcher';
const dispatcher = !explicit
  ? undefined
  : options.proxy
    ? new undici.ProxyAgent({ uri: options.proxy, requestTls: { ca: ca() } })
    : new undici.Agent({ connect: { ca: ca() } });
const Socket = explicit ? undici.WebSocket : WebSocket;
const get = explicit ? undici.fetch : fetch;

main(async () => {
  const page = await get(options.url.replace(/^ws/, 'http').replace(/echo$/, ''), { dispatcher });
  check(page.status === 200 && (await page.text()).includes('<title>echo</title>'), 'the page');

  const socket = new Socket(options.url, { protocols: ['chat.v2', 'other'], dispatcher });
  socket.binaryType = 'arraybuffer';
  const event = (name) =>
    new Promise((resolve, reject) => {
      socket.addEventListener(name, resolve, { once: true });
      socket.addEventListener('error', (failed) => reject(failed.error ?? new Error('the WebSocket failed')), {
        once: true,
      });
    });
  await event('open');
  let messages = 0;
  for (const length of [0, 125, 126, 65536, 1 << 20]) {
    let back = event('message');
    socket.send('z'.repeat(length));
    check((await back).data === 'z'.repeat(length), `text of ${length}`);
    back = event('message');
    socket.send(new Uint8Array(length).fill(7));
    const bytes = new Uint8Array((await back).data);
    check(bytes.length === length && bytes.every((byte) => byte === 7), `binary of ${length}`);
    messages += 2;
  }
  const closed = event('close');
  socket.close(4004, 'done');
  const { code, wasClean } = await closed;
  return { messages, code, wasClean, extensions: socket.extensions, subprotocol: socket.protocol };
});

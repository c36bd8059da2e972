// Holds a tunnel to --target open, with HTTP/2 inside, on Node's own http2: each line on standard input is a path that is asked
// for, and the answer's status is printed. With an https:// --proxy the tunnel is a stream of HTTP/2 itself.
import { connect as http2 } from 'node:http2';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { connect as tls } from 'node:tls';
import { ca, check, main, once, options, say } from './common.mjs';

async function tunnel() {
  const proxy = new URL(options.proxy);
  if (proxy.protocol === 'https:') {
    const session = http2(options.proxy, { ca: ca() });
    const stream = session.request({ ':method': 'CONNECT', ':authority': options.target }, { endStream: false });
    const [headers] = await once(stream, 'response');
    check(headers[':status'] === 200, `the tunnel: ${headers[':status']}`);
    return stream;
  }
  const asked = request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: options.target });
  asked.end();
  const [response, socket] = await once(asked, 'connect');
  check(response.statusCode === 200, `the tunnel: ${response.statusCode}`);
  return socket;
}

main(async () => {
  const [servername] = options.target.split(':');
  const socket = tls({ socket: await tunnel(), servername, ca: ca(), ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  const session = http2(`https://${options.target}`, { createConnection: () => socket });
  say({ ready: true });
  for await (const path of createInterface({ input: process.stdin })) {
    const stream = session.request({ ':path': path });
    const [headers] = await once(stream, 'response');
    stream.resume();
    say({ path, status: headers[':status'] });
  }
  return { ended: true };
});

// Gives clients that know CONNECT over HTTP/1.1 alone tunnels that are streams of HTTP/2 by --proxy, on Node's own http2: an HTTP
// proxy at a port on this machine.
import { createServer } from 'node:http';
import { connect as http2 } from 'node:http2';
import { ca, options } from './common.mjs';

const session = http2(options.proxy, { ca: ca() });
const server = createServer();
server.on('connect', (request, socket, early) => {
  const stream = session.request({ ':method': 'CONNECT', ':authority': request.url }, { endStream: false });
  socket.on('error', () => stream.close());
  stream.on('error', () => socket.destroy());
  stream.on('response', (headers) => {
    socket.write(`HTTP/1.1 ${headers[':status']} by HTTP/2\r\n\r\n`);
    stream.write(early);
    socket.pipe(stream);
    stream.pipe(socket);
  });
});
server.listen(0, '127.0.0.1', () => console.log('READY', server.address().port));

// An HTTPS origin, of HTTP/1.1 and HTTP/2, on Node's own zlib, brotli and zstd.
//
// GET /CODING/TEXT    TEXT in that content coding, whatever the client accepts
// POST /              answers with the request's body after its content coding was taken off
import { createSecureServer } from 'node:http2';
import zlib from 'node:zlib';
import { ready, serverTls } from './common.mjs';

const encode = {
  gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync, zstd: zlib.zstdCompressSync,
};
const decode = {
  gzip: zlib.gunzipSync, deflate: zlib.inflateSync, br: zlib.brotliDecompressSync, zstd: zlib.zstdDecompressSync,
};
const server = createSecureServer({ ...serverTls(), allowHTTP1: true }, async (request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  if (request.method === 'POST') {
    const pieces = await request.toArray();
    const coding = request.headers['content-encoding'];
    response.end(coding ? decode[coding](Buffer.concat(pieces)) : Buffer.concat(pieces));
    return;
  }
  const url = new URL(request.url, 'https://origin.test');
  const [, coding, text] = url.pathname.split('/');
  const plain = Buffer.from(decodeURIComponent(text));
  const coded = coding in encode ? encode[coding](plain) : plain;
  if (coding in encode) response.setHeader('Content-Encoding', coding);
  response.end(coded);
});
server.listen(0, '127.0.0.1', () => ready(server));

// Parts of the console's pages by themselves, against what others wrote: @msgpack/msgpack, a shell. Writes a HAR file to --har.
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { promisify } from 'node:util';
import { encode } from '@msgpack/msgpack';
import { check, main, options } from './common.mjs';

// The pages look at the document when they are loaded.
globalThis.document = { addEventListener() {}, hidden: false };
const web = (name) => import(`../../src/console/web/${name}`);
const { messagePack, protobuf, text } = await web('decode.js');
const { curl, har } = await web('export.js');

const same = (found, wanted, what) => check(JSON.stringify(found) === JSON.stringify(wanted), `${what}: ${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
const bytes = (hex) => Uint8Array.from(hex.replace(/ /g, '').match(/../g) ?? [], (pair) => parseInt(pair, 16));

main(async () => {
  let read = 0;
  for (const value of [
    { compact: true, schema: 0 }, [1, -1, -33, 200, 70000, 5e9, -5e9, 1.5, null, true, 'long enough'], { a: { b: [{ c: 'd' }] } },
    { text: 'ä'.repeat(300), list: Array.from({ length: 40 }, (_, at) => at) }, 'a text alone',
  ]) {
    same(messagePack(encode(value)), value, 'MessagePack');
    // Whatever its beginning is, it is no more than could be read.
    const whole = encode(value);
    for (let cut = 0; cut < whole.length; cut += 1) messagePack(whole.subarray(0, cut));
    read += 1;
  }
  same(messagePack(encode({ b: new Uint8Array([1, 255]) })), { b: { bytes: '0x01ff' } }, 'bytes');
  same(messagePack(bytes('01')), null, 'one small number');
  same(messagePack(bytes('c1')), null, 'a byte that is not used');
  same(messagePack(bytes('dd ff ff ff ff')), null, 'a list without what is in it');
  same(messagePack(bytes('91'.repeat(5000))), null, 'too deep');

  // The examples of https://protobuf.dev/programming-guides/encoding/.
  same(protobuf(bytes('08 96 01')), { 1: 150 }, 'a number');
  same(protobuf(bytes('12 07 74 65 73 74 69 6e 67')), { 2: 'testing' }, 'a text');
  same(protobuf(bytes('1a 03 08 96 01')), { 3: { 1: 150 } }, 'a message within');
  same(protobuf(bytes('22 05 68 65 6c 6c 6f 28 01 28 02 28 03')), { 4: 'hello', 5: [1, 2, 3] }, 'a field that comes again');
  same(protobuf(bytes('0d 00 00 80 3f')), { 1: { fixed32: '0x0000803f' } }, 'four bytes');
  for (const wrong of ['08', '00 01', '12 07 74', '0f 01', 'ff ff ff ff ff ff ff ff ff ff ff 01']) same(protobuf(bytes(wrong)), null, wrong);
  for (let round = 0; round < 20000; round += 1) {
    const any = crypto.getRandomValues(new Uint8Array(1 + (round % 60)));
    messagePack(any);
    protobuf(any);
    text(any);
  }

  const time = new Date().toISOString();
  const nasty = `it's "$(touch /tmp/never)" \`x\` \\ ä\nsecond`;
  const request = {
    type: 'exchange', time, connection: 5, client: '192.0.2.1', host: 'a.test:443', method: 'POST', path: `/x?a='b'&c=d`, version: 'HTTP/2.0', scheme: 'https', status: 200,
    head: { fields: [{ name: 'content-type', value: 'text/plain' }, { name: 'x-odd', value: `'; echo "owned"` }, { name: 'host', value: 'a.test' }] },
    sent: { size: 30, text: nasty }, response: { fields: [{ name: 'content-type', value: 'image/png' }] }, received: { size: 3, base64: 'YWJj' },
    end: { wait_seconds: 0.01, seconds: 0.02 },
  };
  // The words that a shell makes of it.
  const words = (it) => execFileSync('sh', ['-c', `${curl(it).replace(/^curl /, 'printf "%s\\0" ')}`]).toString().split('\0').slice(0, -1);
  same(words(request), ['--include', '--compressed', '--globoff', '--path-as-is', '--request', 'POST', '--header', 'content-type: text/plain', '--header', `x-odd: '; echo "owned"`,
    '--data-raw', nasty, `https://a.test/x?a='b'&c=d`], 'the words');
  // A method is any token, and no terminal obeys what stands in a line that is put into it.
  const sly = "a\u0015b\t\u001b[2J'\u009b\u007f\r\nsecond % \\n";
  const worse = { ...request, method: "X|touch&`a`'", head: { fields: [{ name: 'x-odd', value: '\u0015rm\u001b' }] }, sent: { size: 9, text: `\u0000${sly}\u0000` } };
  check(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(curl(worse)), 'the line has what a terminal obeys');
  same(words(worse), ['--include', '--compressed', '--globoff', '--path-as-is', '--request', "X|touch&`a`'", '--header', 'x-odd: \u0015rm\u001b', '--data-raw', sly,
    `https://a.test/x?a='b'&c=d`], 'the words of what is worse');

  // curl asks for what was asked for.
  const asked = [];
  const server = createServer((it, answer) => { asked.push(it); answer.setHeader('content-length', 2); answer.end('ok'); });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${server.address().port}`;
  for (const [method, path] of [['GET', '/a/../b?c[1-3]={x,y}&d=[z'], ['HEAD', '/'], ['OPTIONS', '/%7Bx%7D/./']]) {
    const line = curl({ ...request, scheme: 'http', host, method, path, sent: undefined, head: { fields: [{ name: 'x-empty', value: '' }, { name: 'x-full', value: 'y' }] } });
    await promisify(execFile)('sh', ['-c', `${line} --max-time 20 --noproxy '*'`]);
    const it = asked.pop();
    same([asked.length, it.method, it.url, it.headers['x-empty'], it.headers['x-full']], [0, method, path, '', 'y'], line);
  }
  server.close();
  server.closeAllConnections();

  const message = (direction, more) => ({ type: 'message', time, connection: 6, websocket: 2, host: 'b.test:8443', path: '/ws', direction, size: 9, ...more });
  const made = har([request, { ...request, sent: undefined, response: undefined, received: undefined, end: undefined, status: undefined },
    message('to_origin', { opcode: 'text', text: 'hello' }), message('to_client', { opcode: 'binary', base64: 'YWJj', cut: true, rules: ['r'], verdict: 'change' })]);
  writeFileSync(options.har, JSON.stringify(made));
  same(made.log.entries.length, 3, 'entries');
  same(JSON.parse(readFileSync(options.har)).log.entries[2].request.url, 'wss://b.test:8443/ws', 'the URL');
  return { read };
});

// Node's llhttp as a reader: what messages it sees in the bytes of each line of `--file`. `--lenient` is what
// `insecureHTTPParser` makes of it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const { HTTPParser, methods } = createRequire(import.meta.url)('_http_common');
const { values: options } = parseArgs({ options: { file: { type: 'string' }, lenient: { type: 'boolean' } } });

const hex = (text) => Buffer.from(text, 'latin1').toString('hex');

/** What `node:http` tells its parser, in its order. */
function read(bytes, asks) {
  const messages = [];
  let target = '';
  let message = null;
  let asked = 0;
  const parser = new HTTPParser();
  const flags = options.lenient ? HTTPParser.kLenientAll : HTTPParser.kLenientNone;
  parser.initialize(asks ? HTTPParser.RESPONSE : HTTPParser.REQUEST, {}, 1 << 20, flags);
  parser[HTTPParser.kOnMessageBegin | 0] = () => { target = ''; message = null; };
  // Long heads come in pieces, the target with the first.
  parser[HTTPParser.kOnHeaders | 0] = (_headers, url) => { target += url ?? ''; };
  parser[HTTPParser.kOnHeadersComplete | 0] = (_major, _minor, _headers, method, url, status) => {
    if (asks) {
      message = { line: String(status), body: [] };
      if (status < 200) { message = null; return 0; }
      const ask = asks[asked];
      asked += 1;
      return ask === 'HEAD' ? 1 : 0;
    }
    message = { line: `${methods[method]} ${target + (url ?? '')}`, body: [] };
    return 0;
  };
  parser[HTTPParser.kOnBody | 0] = (part) => { message?.body.push(Buffer.from(part)); };
  parser[HTTPParser.kOnMessageComplete | 0] = () => {
    if (message) messages.push([hex(message.line), Buffer.concat(message.body).toString('hex')]);
    message = null;
  };
  let trouble = null;
  const end = parser.execute(bytes);
  if (end instanceof Error) trouble = `${end.code}: ${end.reason}`;
  else {
    const finished = parser.finish();
    if (finished instanceof Error) trouble = `${finished.code}: ${finished.reason}`;
    else if (asks && asked > asks.length) trouble = 'a response that nobody asked for';
  }
  console.log(JSON.stringify({ messages, trouble }));
}

for (const line of readFileSync(options.file, 'utf8').split('\n')) {
  if (line) {
    const { bytes, asks } = JSON.parse(line);
    read(Buffer.from(bytes, 'hex'), asks);
  }
}

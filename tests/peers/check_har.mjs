// Holds `--har FILE` against the schema of HAR 1.2 (har-schema), and WebSocket entries against what Chrome exports
// (WebSocketMessage in HARLog.ts of its DevTools: type, time, opcode, data).
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import validator from 'har-validator';

const { har: file } = parseArgs({ options: { har: { type: 'string' } } }).values;
const fail = (text) => {
  console.log(JSON.stringify({ error: text }));
  process.exit(1);
};
const har = JSON.parse(readFileSync(file, 'utf8'));
try {
  await validator.har(har);
} catch (error) {
  fail(JSON.stringify(error.errors ?? String(error)));
}

let messages = 0;
for (const entry of har.log.entries) {
  if (entry._webSocketMessages === undefined) {
    if (entry._resourceType !== undefined) fail('a resource type without messages');
    continue;
  }
  if (entry._resourceType !== 'websocket') fail(`_resourceType is ${entry._resourceType}`);
  if (!/^wss?:\/\//.test(entry.request.url)) fail(`a WebSocket at ${entry.request.url}`);
  // RFC 8441 section 5: over HTTP/2 it is not 101.
  const opened = entry.request.httpVersion === 'HTTP/2.0' ? 200 : 101;
  if (entry.response.status !== opened) fail(`a WebSocket with ${entry.response.status}`);
  let last = 0;
  for (const message of entry._webSocketMessages) {
    messages += 1;
    const { type, time, opcode, data, _wsbump: own, ...rest } = message;
    if (Object.keys(rest).length > 0) fail(`Chrome has no ${Object.keys(rest)}`);
    if (type !== 'send' && type !== 'receive') fail(`type ${type}`);
    // Seconds since 1970 with a fraction.
    if (typeof time !== 'number' || time < last || Math.abs(time - Date.now() / 1000) > 600) fail(`time ${time}`);
    if (opcode !== 1 && opcode !== 2) fail(`opcode ${opcode}`);
    if (typeof data !== 'string') fail('data is no text');
    if (opcode === 2 && Buffer.from(data, 'base64').toString('base64') !== data) fail('data is not base64');
    last = time;
  }
}
console.log(JSON.stringify({ entries: har.log.entries.length, messages }));

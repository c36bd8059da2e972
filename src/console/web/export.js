// What a page has shown, as a file that is kept: a line of JSON for each event, or HAR 1.2. The proxy writes down first that
// somebody keeps it.
import { post } from './api.js';

const own = { name: 'wsbump', version: '1' };
const bare = (host, scheme) => (host ?? '').replace(/s$/.test(scheme) ? /:443$/ : /:80$/, '');
const bodied = (body) => ({ text: body.text ?? body.base64 ?? '', ...(body.base64 != null && { encoding: 'base64' }), ...(body.cut && { comment: 'the beginning of it' }) });
const header = (head, name) => head?.fields.find((field) => field.name === name)?.value;

function blank(it, url) {
  const query = url.split('?')[1] ?? '';
  return {
    startedDateTime: it.time, time: 0,
    request: { method: 'GET', url, httpVersion: it.version ?? 'HTTP/1.1', cookies: [], headers: [], headersSize: -1, bodySize: 0,
      queryString: query.split('&').filter(Boolean).map((pair) => ({ name: pair.split('=')[0], value: pair.split('=').slice(1).join('=') })) },
    // As Chrome writes what had no response.
    response: { status: 0, statusText: '', httpVersion: it.version ?? 'HTTP/1.1', cookies: [], headers: [], content: { size: 0, mimeType: 'x-unknown' }, redirectURL: '', headersSize: -1, bodySize: -1 },
    cache: {}, timings: { blocked: -1, dns: -1, connect: -1, ssl: -1, send: 0, wait: 0, receive: 0 },
    connection: String(it.connection), ...(it.client && { _client: it.client }), ...(it.user && { _user: it.user }),
  };
}

function exchange(it) {
  const scheme = it.scheme ?? 'https';
  const entry = blank(it, `${scheme}://${bare(it.host, scheme)}${it.path}`);
  const { request, response } = entry;
  request.method = it.method;
  request.headers = it.head?.fields ?? [];
  if (it.sent?.size) {
    request.bodySize = it.sent.size;
    request.postData = { mimeType: header(it.head, 'content-type') ?? 'x-unknown', ...bodied(it.sent) };
  }
  response.status = it.status ?? 0;
  response.headers = it.response?.fields ?? [];
  response.redirectURL = header(it.response, 'location') ?? '';
  response.content.mimeType = header(it.response, 'content-type') ?? 'x-unknown';
  if (it.received) {
    response.bodySize = it.received.size;
    Object.assign(response.content, { size: it.received.text?.length ?? it.received.size }, bodied(it.received));
  }
  if (it.end) {
    const [wait, all] = [it.end.wait_seconds * 1000, it.end.seconds * 1000];
    entry.time = all;
    Object.assign(entry.timings, { wait, receive: Math.max(0, all - wait) });
    if (it.end.error) entry.comment = it.end.error;
  }
  return entry;
}

function socket(messages) {
  const [first] = messages;
  const entry = blank(first, `wss://${bare(first.host, 'wss')}${first.path}`);
  entry.response.status = 101;
  entry._resourceType = 'websocket';
  entry._webSocketMessages = messages.map((it) => ({
    type: it.direction === 'to_origin' ? 'send' : 'receive', time: new Date(it.time).getTime() / 1000, opcode: it.opcode === 'text' ? 1 : 2,
    data: it.text ?? it.base64 ?? '', ...((it.rules || it.cut) && { _wsbump: { ...(it.rules && { verdict: it.verdict, rules: it.rules }), ...(it.cut && { size: it.size }) } }),
  }));
  return entry;
}

/** Exchanges and messages, as a page has them, in one file. */
export function har(items) {
  const sockets = new Map();
  for (const it of items) if (it.type === 'message') sockets.set(it.websocket, [...(sockets.get(it.websocket) ?? []), it]);
  const entries = [...items.filter((it) => it.type === 'exchange').map(exchange), ...[...sockets.values()].map(socket)];
  return { log: { version: '1.2', creator: own, pages: [], entries, comment: 'of what was watched: what was not is not here' } };
}

/** Has it written down, and then has the browser keep it. */
export async function keep(items, format, { raw, websocket, connection }) {
  const what = { format, events: items.length, raw: !!raw };
  if (websocket) what.websocket = Number(websocket);
  if (connection) what.connection = Number(connection);
  await post('exports', what);
  const text = format === 'har' ? JSON.stringify(har(items)) : items.map((it) => `${JSON.stringify(it)}\n`).join('');
  // No browser shows it, whatever is in it.
  const url = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `wsbump-${new Date().toISOString().replace(/[:.]/g, '-')}.${format === 'har' ? 'har' : 'jsonl'}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** What a terminal would obey, as a shell makes it anew; lines may end in it. */
const controls = /[\u0001-\u0009\u000b-\u001f\u007f-\u009f]+/g;
const octal = (text) => [...new TextEncoder().encode(text)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
// No word of a shell can hold NUL.
const quoted = (text) => `'${text.replace(/\0/g, '').replace(/'/g, "'\\''").replace(controls, (some) => `'"$(printf '${octal(some)}')"'`)}'`;
/** What curl says by itself, or what is none of the request's own. */
const left = /^(?:host|content-length|connection|accept-encoding|transfer-encoding|via|te|upgrade|proxy-.*)$/;

/** A request as a line for a shell. What was masked has to be put in again. */
export function curl(it) {
  const scheme = it.scheme ?? 'https';
  // The URL as it is: brackets and braces are no pattern, and two dots lead nowhere else.
  const words = ['curl', '--include', '--compressed', '--globoff', '--path-as-is'];
  // A method may be any token, and `|` and `&` are in tokens (RFC 9110 section 5.6.2). For content in the answer to HEAD curl would wait.
  if (it.method === 'HEAD') words.push('--head');
  else if (it.method !== 'GET') words.push('--request', quoted(it.method));
  // A field without a value is written by a semicolon: by a colon it would be left out.
  for (const { name, value } of it.head?.fields ?? []) if (!left.test(name)) words.push('--header', quoted(value === '' ? `${name};` : `${name}: ${value}`));
  if (it.sent?.text && !it.sent.cut) words.push('--data-raw', quoted(it.sent.text));
  words.push(quoted(`${scheme.replace(/^ws/, 'http')}://${bare(it.host, scheme)}${it.path}`));
  return words.join(' ');
}

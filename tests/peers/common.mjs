// What every Node peer shares: its arguments, its TLS settings, and how it talks to the harness.
//
// An origin prints `READY port` once it listens. A client prints one JSON object on its last line and ends
// with 0 when everything that it expects held, with 1 otherwise.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const names = ['cert', 'key', 'ca', 'url', 'proxy', 'mode', 'alpn', 'api', 'home', 'browser', 'screenshot', 'again', 'language',
  'target', 'other', 'page', 'secure', 'user', 'password', 'pac', 'secret', 'kind', 'har', 'folder'];
export const options = parseArgs({
  options: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
}).values;

/** The certificate and key of an origin. */
export const serverTls = () => ({ cert: readFileSync(options.cert), key: readFileSync(options.key) });

/** The only roots that a client trusts. */
export const ca = () => readFileSync(options.ca);

export const say = (facts) => console.log(JSON.stringify(facts));

export const ready = (server) => console.log(`READY ${server.address().port}`);

export function check(holds, text) {
  if (!holds) throw new Error(text);
}

/** Resolves with the event's arguments; rejects on `error` or after 20 s. */
export function once(emitter, name) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} within 20 s`)), 20_000);
    emitter.once(name, (...found) => {
      clearTimeout(timer);
      resolve(found);
    });
    if (name !== 'error') emitter.once('error', reject);
  });
}

/** Runs a client; an exception becomes its result. */
export async function main(run) {
  try {
    say(await run());
    process.exit(0);
  } catch (error) {
    console.error(error);
    say({ error: String(error?.message ?? error), cause: String(error?.cause ?? '') });
    process.exit(1);
  }
}

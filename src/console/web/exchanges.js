// Requests with their heads and bodies, put together from the events that tell of them.
import { Events } from './live.js';

/** A body's end may come before the request's: this many heads wait for theirs. */
const UNDER_WAY = 500;

/** The path of a URL as far as a row shows it: without what a query holds. */
const bare = (path) => path.split('?')[0];
const pathOf = (url) => {
  const at = url.indexOf('/', url.indexOf('://') + 3);
  return at < 0 ? '/' : bare(url.slice(at));
};

export class Exchanges extends Events {
  #open = new Map();

  constructor() {
    super(3000, 24e6);
  }

  clear() {
    this.#open.clear();
    super.clear();
  }

  take(event) {
    if (event.type === 'request') this.#ended(event);
    else if (event.type === 'request_head') this.#begun(event);
    else if (event.type === 'response_head') this.#part(event, 'response');
    else if (event.type === 'exchange_ended') this.#over(event);
    else if (event.type === 'body') this.#part(event, event.direction === 'to_origin' ? 'sent' : 'received');
    this.changed();
  }

  #begun(head) {
    const row = { id: `x${head.exchange}`, type: 'exchange', time: head.time, connection: head.connection, client: head.client,
      user: head.user, host: head.host, method: head.method, path: head.path, version: head.version, scheme: head.scheme, head };
    this.#open.set(head.exchange, row);
    if (this.#open.size > UNDER_WAY) this.#open.delete(this.#open.keys().next().value);
    this.push(row, 600 + 100 * head.fields.length);
  }

  #part(event, name) {
    const row = this.#open.get(event.exchange);
    if (!row) return;
    row[name] = event;
    if (name === 'response') row.status = event.status;
    const size = (event.text?.length ?? 0) * 2 + (event.base64?.length ?? 0);
    const kept = this.ring.items.findLast(({ item }) => item === row);
    if (kept) {
      kept.size += size;
      this.ring.bytes += size;
    }
  }

  /** What was watched from its head on is known by its number. */
  #over(event) {
    const row = this.#open.get(event.exchange);
    if (!row) return;
    row.end = { ...row.end, ...event };
    row.status = event.status ?? row.status;
  }

  /** The end of a request belongs to the first head on its connection that says the same. */
  #ended(event) {
    const path = pathOf(event.url);
    for (const row of this.#open.values()) {
      if (!row.end?.request && row.connection === event.connection && row.method === event.method && bare(row.path) === path) {
        this.#close(row, event);
        return;
      }
    }
    const row = { id: `r${event.id}`, type: 'exchange', time: event.time, connection: event.connection, client: event.client, user: event.user,
      host: event.host, method: event.method, path, version: event.version };
    this.#close(row, event);
    this.push(row, 400);
  }

  #close(row, event) {
    row.end = { ...row.end, ...event };
    row.status = event.status ?? row.status;
    row.rule = event.rule;
  }
}

// What is known of the proxy by now: what is open, what happened, what is measured.
import { get, session } from './api.js';
import { Ring, Store } from './store.js';

/** Between two looks at what is open, in milliseconds; a look that takes long makes them rarer. */
const EVERY = 1000;
const MOST = 10_000;

/** What is open, asked for as long as a page shows it. */
class Open extends Store {
  rows = new Map();
  total = 0;
  state = null;
  problem = '';
  /** Each look: { at, bytes, messages, rate of both, the latencies of the last frames }. */
  measured = new Ring(600, Infinity);
  #timer = 0;
  #runs = false;

  start() {
    if (this.#runs) return;
    this.#runs = true;
    this.#look();
  }

  stop() {
    this.#runs = false;
    clearTimeout(this.#timer);
  }

  async #look() {
    const began = performance.now();
    if (!document.hidden) {
      try {
        const [found, state] = await Promise.all([get(`connections?limit=${MOST}`), get('state')]);
        this.#take(found, began);
        this.state = state;
        this.problem = '';
      } catch (error) {
        this.problem = error.message;
      }
      this.changed();
    }
    const took = performance.now() - began;
    if (this.#runs && session.state === 'in') this.#timer = setTimeout(() => this.#look(), Math.max(EVERY, took * 4));
    else this.#runs = false;
  }

  #take({ total, connections }, at) {
    const rows = new Map();
    const sum = { at: Date.now(), bytes: [0, 0], messages: [0, 0], inside: [] };
    for (const row of connections) {
      const all = flat(row);
      const before = this.rows.get(row.id);
      if (before) {
        const passed = Math.max(0.2, (at - before.at) / 1000);
        all.rate = all.bytes.map((count, way) => Math.max(0, count - before.bytes[way]) / passed);
        for (const way of [0, 1]) {
          sum.bytes[way] += all.rate[way];
          sum.messages[way] += Math.max(0, all.messages[way] - before.messages[way]) / passed;
        }
      }
      for (const websocket of row.websockets) {
        for (const way of ['to_origin', 'to_client']) {
          const { quiet_seconds: quiet, inside_seconds: inside } = websocket;
          if (inside[way] != null && quiet[way] < 5) sum.inside.push(inside[way]);
        }
      }
      all.at = at;
      rows.set(row.id, all);
    }
    // The first look has nothing to be compared with.
    if (this.measured.items.length || this.rows.size) {
      sum.inside.sort((a, b) => a - b);
      this.measured.push(sum);
    } else {
      this.measured.push({ ...sum, bytes: null, messages: null });
    }
    this.rows = rows;
    this.total = total;
  }
}

const ways = ['to_origin', 'to_client'];
const each = (found) => ways.map((way) => found?.[way] ?? 0);
const sums = (all) => all.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);

/** A connection with what its WebSockets come to. */
function flat(row) {
  const sockets = row.websockets;
  const quiet = sockets.flatMap((it) => ways.map((way) => it.quiet_seconds[way])).filter((time) => time != null);
  const inside = sockets.flatMap((it) => ways.map((way) => it.inside_seconds[way])).filter((time) => time != null);
  return {
    ...row,
    bytes: sums([each(row.bytes), ...sockets.map((it) => each(it.bytes))]),
    frames: sums(sockets.map((it) => each(it.frames))),
    messages: sums(sockets.map((it) => each(it.messages))),
    pings: sums(sockets.map((it) => each(it.pings))),
    quiet: quiet.length ? Math.min(...quiet) : null,
    inside: inside.length ? Math.max(...inside) : null,
    rate: [0, 0],
  };
}

export const open = new Open();

/** Findings and refused certificates, from before and as they come. */
class Lately extends Store {
  findings = new Ring(2000, 8e6);
  refusals = new Ring(1000, 4e6);
  reloads = new Ring(50, 1e6);
  /** What came since the page about it was last looked at. */
  fresh = { findings: 0, refusals: 0 };
  #known = new Set();

  async load() {
    const [{ findings }, { refusals }] = await Promise.all([get('findings'), get('refusals')]);
    for (const found of findings.reverse()) this.#push('findings', found);
    for (const found of refusals.reverse()) this.#push('refusals', found);
    this.changed();
  }

  #push(kind, event) {
    // Both a stream and a look bring the same.
    if (this.#known.has(event.id)) return false;
    this.#known.add(event.id);
    if (this.#known.size > 10_000) this.#known = new Set([...this.#known].slice(-5000));
    this[kind].push(event, 400);
    return true;
  }

  take(event, topic) {
    if (topic === 'findings' || topic === 'refusals') {
      if (this.#push(topic, event)) this.fresh[topic] += 1;
    } else if (topic === 'reloads') {
      this.reloads.push(event);
    } else {
      return;
    }
    this.changed();
  }

  seen(kind) {
    if (!this.fresh[kind]) return;
    this.fresh[kind] = 0;
    this.changed();
  }
}

export const lately = new Lately();

/** A list of events that a page keeps while it is open, with lines where some are missing. */
export class Events extends Store {
  constructor(most = 5000, mostBytes = 16e6) {
    super();
    this.ring = new Ring(most, mostBytes);
    this.gaps = 0;
  }

  push(event, size) {
    this.ring.push(event, size);
    this.changed();
  }

  gap(text) {
    // Nothing came between two of them.
    if (this.ring.items.at(-1)?.item.text === text && this.ring.items.at(-1).item.type === 'gap') return;
    this.gaps += 1;
    this.push({ id: `gap-${this.gaps}`, type: 'gap', text, time: new Date().toISOString() });
  }

  clear() {
    this.ring.clear();
    this.changed();
  }
}

// How the page asks the proxy: JSON over `/api/v1/`, and one stream of events.
import { Store } from './store.js';

/** What the proxy says when it does not do what was asked. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Who is logged in, and what they may. */
class Session extends Store {
  /** `unknown` until the proxy has said, then `out` or `in`. */
  state = 'unknown';
  by = '';
  rights = [];
  people = 'show';
  #token = '';

  may(right) {
    return this.rights.includes(right);
  }

  get token() {
    return this.#token;
  }

  take(answer) {
    this.state = answer.by ? 'in' : 'out';
    this.by = answer.by ?? '';
    this.rights = answer.rights ?? [];
    this.#token = answer.token ?? '';
    this.changed();
  }

  out() {
    if (this.state === 'in') this.take({});
  }

  /** Asks who this is; a code or a bearer token buys a session. */
  async begin(secret) {
    this.take(secret ? await ask('POST', '/session', secret) : await ask('GET', '/session'));
  }

  async end() {
    await ask('DELETE', '/session', {});
    this.take({});
  }
}

export const session = new Session();

function asked(method, body, signal) {
  const headers = { 'X-Wsbump-Session': session.token };
  if (body) headers['Content-Type'] = 'application/json';
  return { method, headers, body: body && JSON.stringify(body), signal, cache: 'no-store', credentials: 'same-origin', redirect: 'error' };
}

async function refused(response) {
  if (response.status === 401) session.out();
  const problem = await response.json().catch(() => ({}));
  return new Refused(response.status, problem.detail ?? `the proxy answered ${response.status}`);
}

async function ask(method, path, body) {
  const response = await fetch(path, asked(method, body));
  if (!response.ok) throw await refused(response);
  return response.json();
}

export const get = (path) => ask('GET', `/api/v1/${path}`);
export const post = (path, body = {}) => ask('POST', `/api/v1/${path}`, body);

/** Cuts Server-Sent Events (HTML Living Standard section 9.2.6) out of text that comes in pieces. */
export class EventCutter {
  #rest = '';

  /** Yields `{ event, data, id }`. */
  *cut(text) {
    this.#rest += text;
    let end = this.#rest.indexOf('\n\n');
    let from = 0;
    while (end >= 0) {
      const found = { event: 'message', data: '', id: '' };
      for (const line of this.#rest.slice(from, end).split('\n')) {
        const colon = line.indexOf(':');
        const name = line.slice(0, colon);
        if (colon > 0 && name in found) found[name] = line.slice(colon + 1).replace(/^ /, '');
      }
      if (found.data) yield found;
      from = end + 2;
      end = this.#rest.indexOf('\n\n', from);
    }
    this.#rest = this.#rest.slice(from);
  }
}

/** So long the proxy waits for a tab that has lost its stream: what happens meanwhile is not lost. */
const KEPT = 30;
/** A tab that nobody sees keeps its stream for so long: browsers give a site six connections in all. */
const HIDDEN = 10_000;
const AGAIN = [500, 1000, 2000, 5000, 10_000];
/** The proxy says that it is there each 15 s. */
const SILENCE = 40_000;

/** The one stream of this tab. Who wants other events changes it. */
class Stream extends Store {
  /** `off`, `opening`, `open`, `paused`, `failed`. */
  state = 'off';
  problem = '';
  masked = true;
  /** It went on behind the event that was read last: nothing is missing, unless it says so. */
  resumed = false;
  #wanted = null;
  #take = null;
  #abort = null;
  #failures = 0;
  #timer = 0;
  #lastAt = 0;
  /** The event that was read last, by which the stream goes on where it broke off. */
  #lastId = '';

  constructor() {
    super();
    document.addEventListener('visibilitychange', () => {
      clearTimeout(this.#timer);
      if (!document.hidden) {
        if (this.state === 'paused') this.#open();
      } else if (this.#wanted) {
        this.#timer = setTimeout(() => this.#pause(), HIDDEN);
      }
    });
    setInterval(() => {
      if (this.state === 'open' && Date.now() - this.#lastAt > SILENCE) this.#abort.abort();
    }, 5000);
  }

  /** From now on these events go to `take`; a `gap` says that some were missed. */
  want(wanted, take) {
    const same = this.#take === take && JSON.stringify(wanted) === JSON.stringify(this.#wanted);
    if (same && this.state !== 'failed') return;
    this.#wanted = wanted;
    this.#take = take;
    this.#lastId = '';
    this.#failures = 0;
    this.#open();
  }

  /** How it is, for whoever wants these events: one that is still open for others is not theirs. */
  stateFor(wanted) {
    return JSON.stringify(wanted) === JSON.stringify(this.#wanted) ? this.state : 'opening';
  }

  stop() {
    this.#wanted = null;
    this.#cut();
    this.#set('off');
  }

  #set(state, problem = '') {
    this.state = state;
    this.problem = problem;
    this.changed();
  }

  #cut() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  #pause() {
    if (!this.#wanted) return;
    this.#cut();
    this.#set('paused');
  }

  async #open() {
    this.#cut();
    if (!this.#wanted) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#set('opening');
    const take = this.#take;
    try {
      const request = asked('POST', { ...this.#wanted, keep_seconds: KEPT }, abort.signal);
      if (this.#lastId) request.headers['Last-Event-ID'] = this.#lastId;
      const response = await fetch('/api/v1/events', request);
      if (!response.ok) throw await refused(response);
      this.#lastAt = Date.now();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const cutter = new EventCutter();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.#lastAt = Date.now();
        for (const { event, data, id } of cutter.cut(value)) {
          const found = JSON.parse(data);
          if (id) this.#lastId = id;
          if (event === 'watching') {
            this.#failures = 0;
            this.masked = found.masked;
            this.resumed = found.resumed;
            this.#set('open');
          }
          take(found, event);
        }
      }
      throw new Error('the proxy has ended the stream');
    } catch (error) {
      // Another one has taken its place.
      if (this.#abort !== abort) return;
      this.#set('failed', error instanceof Refused ? error.message : 'no connection to the proxy');
      // What is refused stays so until something else is wanted; of places there may be one soon.
      if (error instanceof Refused && error.status !== 503) return;
      const wait = AGAIN[Math.min(this.#failures, AGAIN.length - 1)];
      this.#failures += 1;
      this.#timer = setTimeout(() => this.#open(), wait);
    }
  }
}

export const stream = new Stream();

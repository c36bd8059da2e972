// Where in the console somebody is: `#/connections/7?host=slack.com`. What is looked for in content is never part of it.
import { Store } from './store.js';

class Place extends Store {
  page = 'connections';
  id = null;
  filter = {};

  constructor() {
    super();
    addEventListener('hashchange', () => this.#read());
    this.#read();
  }

  #read() {
    const [path, query] = location.hash.split('?');
    const [, page, id] = /^#\/(\w+)(?:\/(\d+))?$/.exec(path) ?? [];
    this.page = page || 'connections';
    this.id = id ? Number(id) : null;
    this.filter = Object.fromEntries(new URLSearchParams(query ?? ''));
    this.changed();
  }

  /** Where a link leads to. */
  link(page, id = null, filter = {}) {
    const kept = Object.entries(filter).filter(([, value]) => value !== '' && value != null);
    const query = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString();
    return `#/${page}${id == null ? '' : `/${id}`}${query ? `?${query}` : ''}`;
  }

  go(page, id, filter) {
    location.hash = this.link(page, id, filter);
  }

  /** Adds a condition, or with an empty value takes it away. */
  narrow(key, value) {
    this.go(this.page, this.id, { ...this.filter, [key]: value });
  }
}

export const place = new Place();

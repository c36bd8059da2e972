// What changes often, and is drawn at most once for each frame of the screen.
import { useEffect, useState } from './vendor/preact.js';

/** A value that others are told of when it has changed. */
export class Store {
  #heard = new Set();
  #waits = false;

  /** Tells those who draw, once before the next frame. */
  changed() {
    if (this.#waits) return;
    this.#waits = true;
    // A hidden tab has no frames, and nothing to draw.
    requestAnimationFrame(() => {
      this.#waits = false;
      for (const hear of this.#heard) hear();
    });
  }

  hear(told) {
    this.#heard.add(told);
    return () => this.#heard.delete(told);
  }
}

/** Draws the component again whenever the store has changed. */
export function useStore(store) {
  const [, again] = useState(0);
  useEffect(() => store.hear(() => again((n) => n + 1)), [store]);
  return store;
}

/** The last of many things, bounded in number and in bytes. */
export class Ring {
  items = [];
  bytes = 0;
  dropped = 0;

  constructor(mostItems, mostBytes) {
    this.mostItems = mostItems;
    this.mostBytes = mostBytes;
  }

  push(item, size = 200) {
    this.items.push({ item, size });
    this.bytes += size;
    if (this.items.length <= this.mostItems && this.bytes <= this.mostBytes) return;
    // A tenth at once: to move all of them for each new one would cost more than drawing them.
    let gone = 0;
    const enough = () => this.items.length - gone <= this.mostItems * 0.9 && this.bytes <= this.mostBytes * 0.9;
    while (gone < this.items.length - 1 && !enough()) {
      this.bytes -= this.items[gone].size;
      gone += 1;
    }
    this.items.splice(0, gone);
    this.dropped += gone;
  }

  clear() {
    this.items = [];
    this.bytes = 0;
    this.dropped = 0;
  }
}

// Content is watched by one stream, which a page narrows down; how that goes is told in one line.
import { html, useEffect, useState } from './vendor/preact.js';
import { session, stream } from './api.js';
import { keep } from './export.js';
import { Ask } from './parts.js';
import { useStore } from './store.js';

const NUMBERS = ['connection', 'websocket', 'at_least', 'at_most'];

/** What a stream is asked for. */
export function wanted(topics, filter, more = {}) {
  const asked = { topics };
  for (const [key, value] of Object.entries({ ...filter, ...more })) {
    if (value !== '' && value != null && value !== false) asked[key] = NUMBERS.includes(key) ? Number(value) : value;
  }
  return asked;
}

/** Has the stream bring these events into a list for as long as the page is there. */
export function useWatch(asked, events, take) {
  useStore(stream);
  const key = JSON.stringify(asked);
  useEffect(() => {
    if (!asked) return;
    if (events.ring.items.length) events.gap('from here on with another filter');
    let paused = false;
    const hear = stream.hear(() => {
      if (stream.state === 'paused' || stream.state === 'failed') paused = true;
      if (stream.state === 'open' && paused) {
        paused = false;
        if (!stream.resumed) events.gap('not watched for a while');
      }
    });
    stream.want(asked, (event, topic) => {
      if (topic === 'lost') events.gap(`skipped ${event.events.toLocaleString('en')}: they came faster than they could be shown`);
      else if (topic !== 'watching' && topic !== 'skipped') take(event, topic);
    });
    return hear;
  }, [key]);
}

/** How the stream is, for those who see and those who hear. */
export function StreamState({ asked }) {
  useStore(stream);
  const state = stream.stateFor(asked);
  const words = { off: '', opening: 'connecting', open: 'live', paused: 'paused while nobody sees this tab', failed: stream.problem };
  return html`<p class=${`stream ${state}`} role="status">${words[state]}</p>`;
}

/** Keeps what is shown as a file. */
export function Keep({ items, of, empty }) {
  const [problem, setProblem] = useState('');
  const save = (format) => keep(items(), format, of).then(() => setProblem(''), (error) => setProblem(error.message));
  return html`<span class="keep" role="group" aria-label="Keep what is shown">
    <button disabled=${empty} onClick=${() => save('har')}>Save HAR</button><button disabled=${empty} onClick=${() => save('lines')}>Save lines</button>
    ${problem && html`<span class="bad" role="alert">${problem}</span>`}</span>`;
}

/** Takes the mask away, for a written reason. */
export function Unmask({ raw, onRaw }) {
  const [asks, setAsks] = useState(false);
  if (!session.may('raw')) return null;
  if (raw) {
    return html`<p class="unmasked" role="status">Secrets are shown: “${raw}” <button onClick=${() => onRaw(null)}>Mask them again</button></p>`;
  }
  return html`<button onClick=${() => setAsks(true)}>Unmask…</button>
    ${asks && html`<${Ask} title="Show secrets?" text="Passwords, cookies and tokens are then shown as they are. The audit log has who looked, at what, and the reason."
      field=${{ title: 'Reason', least: 4 }} action="Show them"
      onDone=${async (reason) => onRaw(reason)} onClose=${() => setAsks(false)} />`}`;
}

// Small parts that pages share.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/preact.js';
import { messagePack, protobuf, text as textOf } from './decode.js';
import { bytes, decoded, hexRow, pretty, visible } from './format.js';
import { place } from './place.js';

/** One condition that can be written and taken away. */
function Condition({ name, title, value }) {
  const field = useRef(null);
  return html`<label class="condition ${value ? 'set' : ''}">
    <span>${title}</span>
    <input ref=${field} name=${name} value=${value ?? ''} spellcheck=${false} autocomplete="off"
      onChange=${(event) => place.narrow(name, event.target.value.trim())} />
    ${value && html`<button class="plain" aria-label=${`Any ${title}`} onClick=${(event) => {
      event.preventDefault();
      place.narrow(name, '');
      field.current.focus();
    }}>×</button>`}
  </label>`;
}

/** What narrows a page down, all of it together. */
export function Conditions({ names, children }) {
  const titles = { client: 'client', user: 'user', host: 'host', action: 'action', rule: 'rule', connection: 'connection',
    websocket: 'WebSocket' };
  return html`<div class="conditions" role="search">
    ${names.map((name) => html`<${Condition} key=${name} name=${name} title=${titles[name]} value=${place.filter[name]} />`)}
    ${children}
  </div>`;
}

/** Whether a row is what the address asks for, as the proxy itself understands it: a host and all below it. */
export function matches(row, filter) {
  const is = (name) => !filter[name] || row[name] === filter[name];
  const host = (row.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '').toLowerCase();
  const wanted = filter.host?.toLowerCase();
  return is('client') && is('action') && is('rule')
    && (!filter.user || (row.user ?? '').toLowerCase() === filter.user.toLowerCase())
    && (!filter.connection || String(row.connection) === filter.connection)
    && (!wanted || host === wanted || host.endsWith(`.${wanted}`));
}

/** A host without its port, as a condition has it. */
export const bareHost = (host) => host?.replace(/:\d+$/, '');

/** Names and values. */
export const Facts = ({ facts }) => html`<dl class="facts">
  ${facts.filter(([, value]) => value != null && value !== '').map(([name, value]) => html`<div key=${name}>
    <dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>`;

const DUMP = 20;

/** Bytes in hexadecimal; only the rows that are seen are made. */
function Hex({ data }) {
  const box = useRef(null);
  const [top, setTop] = useState(0);
  const rows = Math.ceil(data.length / 16);
  const first = Math.max(0, Math.floor(top / DUMP) - 4);
  const drawn = [];
  for (let at = first; at < Math.min(rows, first + 60); at += 1) drawn.push(at);
  return html`<div class="hex" tabindex="0" role="region" aria-label="Bytes in hexadecimal" ref=${box}
    onScroll=${() => setTop(box.current.scrollTop)}>
    <div style=${{ height: `${rows * DUMP}px` }}>
      ${drawn.map((at) => html`<pre key=${at} style=${{ transform: `translateY(${at * DUMP}px)` }}>${hexRow(data, at)}</pre>`)}
    </div>
  </div>`;
}

/** Puts a text where it can be pasted, and says that it did. */
export function Copy({ text, title = 'Copy' }) {
  const [told, setTold] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      setTold('Copied');
    } catch {
      setTold('This browser lets no page copy');
    }
  };
  useEffect(() => {
    const timer = told && setTimeout(() => setTold(''), 3000);
    return () => clearTimeout(timer);
  }, [told]);
  return html`<span class="copy"><button type="button" onClick=${copy}>${title}</button> <span class="quiet" role="status">${told}</span></span>`;
}

/** Lines that go into a file or a shell. */
export const Lines = ({ text }) => html`<div class="lines"><pre tabindex="0">${visible(text)}</pre><${Copy} text=${() => text} /></div>`;

/** The most text that is drawn at once. */
const TEXT = 256 * 1024;

/** Content as its reader wants it: read as JSON, as text, or as bytes. It is text to the browser in any case. */
export function Content({ it }) {
  const [as, setAs] = useState(null);
  const box = useRef(null);
  useLayoutEffect(() => setAs(null), [it.id]);
  // What nobody has named is tried, once, for the one that is open.
  const bytesOf = useMemo(() => (it.base64 != null ? decoded(it.base64) : null), [it.base64]);
  const tried = useMemo(() => bytesOf && { text: textOf(bytesOf), packed: messagePack(bytesOf), fields: protobuf(bytesOf) }, [bytesOf]);
  const text = it.text ?? tried?.text ?? null;
  const json = text != null && (as == null || as === 'json') ? pretty(text) : null;
  const documents = it.documents;
  const shown = as ?? (documents ? 'framing' : json ? 'json' : text != null ? 'text' : tried?.packed != null ? 'packed' : tried?.fields ? 'fields' : 'hex');
  const trees = { ...(documents && { framing: documents }), ...(tried?.packed != null && { packed: tried.packed }), ...(tried?.fields && { fields: tried.fields }) };
  const kinds = [
    documents && ['framing', it.framing],
    text != null && ['json', 'JSON'],
    text != null && ['text', 'Text'],
    tried?.packed != null && ['packed', 'MessagePack'],
    tried?.fields && ['fields', 'Protobuf'],
    ['hex', 'Hex'],
  ].filter(Boolean);
  const whole = () => bytesOf ?? new TextEncoder().encode(text ?? '');
  let body;
  if (shown === 'hex') body = html`<${Hex} data=${whole()} />`;
  else if (shown in trees) body = html`<pre tabindex="0">${visible(JSON.stringify(trees[shown], null, 2))}</pre>`;
  else if (shown === 'json') body = html`<pre tabindex="0">${json ?? 'This is no JSON, or more of it than is read here (256 KB).'}</pre>`;
  else body = html`<pre tabindex="0">${visible(text.slice(0, TEXT))}</pre>`;
  return html`<div class="content" ref=${box}>
    <div class="kinds" role="group" aria-label="Show as">
      ${kinds.map(([kind, title]) => html`<button key=${kind} aria-pressed=${shown === kind} onClick=${() => setAs(kind)}>${title}</button>`)}
      ${text != null && html`<${Copy} text=${() => text} />`}
      <span class="quiet">${bytes(it.size)}${it.cut ? ', the beginning of it' : ''}</span>
    </div>
    ${it.undecoded ? html`<p class="quiet">Its coding is not one that can be undone here.</p>` : body}
  </div>`;
}

/** Asks before something is done that cannot be undone. */
export function Ask({ title, text, field, action, onDone, onClose }) {
  const dialog = useRef(null);
  const [value, setValue] = useState('');
  const [problem, setProblem] = useState('');
  const [waits, setWaits] = useState(false);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  const missing = field && value.trim().length < field.least;
  return html`<dialog ref=${dialog} aria-labelledby="ask-title" onClose=${onClose}>
    <form onSubmit=${async (event) => {
      event.preventDefault();
      if (missing || waits) return;
      setWaits(true);
      try {
        await onDone(value.trim());
        dialog.current.close();
      } catch (error) {
        setProblem(error.message);
        setWaits(false);
      }
    }}>
      <h2 id="ask-title">${title}</h2>
      <p>${text}</p>
      ${field && html`<label>${field.title}<input value=${value} autofocus onInput=${(event) => setValue(event.target.value)} /></label>`}
      <p class="bad" role="alert">${problem}</p>
      <div class="actions">
        <button type="button" onClick=${() => dialog.current.close()}>Cancel</button>
        <button class="danger" disabled=${missing || waits}>${action}</button>
      </div>
    </form>
  </dialog>`;
}

/** What a page is for, and what stands beside it. */
export const Head = ({ title, children }) => html`<div class="page-head"><h1 tabindex="-1">${title}</h1>${children}</div>`;

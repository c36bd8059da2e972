// Messages of WebSockets as they pass.
import { html, useEffect, useMemo, useRef, useState } from '../vendor/preact.js';
import { session } from '../api.js';
import { bytes, clock, decoded, line, number, visible } from '../format.js';
import { List, useFollow } from '../list.js';
import { Events, open } from '../live.js';
import { bareHost, Conditions, Content, Facts, Head } from '../parts.js';
import { place } from '../place.js';
import { useStore } from '../store.js';
import { Keep, StreamState, Unmask, useWatch, wanted } from '../watched.js';

/** Of what is no text, the first bytes. */
const preview = (it) => (it.text != null ? line(it.text) : Array.from(decoded((it.base64 ?? '').slice(0, 32)), (byte) => byte.toString(16).padStart(2, '0')).join(' ') + (it.size > 24 ? ' …' : ''));

const columns = [
  { key: 'time', title: 'Time', width: '7.5rem', cell: (it) => clock(it.time) },
  { key: 'direction', title: '', width: '1.8rem', cell: (it) => (it.direction ? html`<span class=${it.direction} title=${it.direction === 'to_origin' ? 'client to origin' : 'origin to client'}>${it.direction === 'to_origin' ? '↑' : '↓'}</span>` : '') },
  { key: 'host', title: 'Host', width: 'minmax(7rem, 1fr)', cell: (it) => visible(it.host ?? ''), filter: (it) => bareHost(it.host) },
  { key: 'websocket', title: 'WebSocket', width: '6rem', numeric: true, cell: (it) => it.websocket, filter: (it) => it.websocket },
  { key: 'size', title: 'Size', width: '5rem', numeric: true, cell: (it) => bytes(it.size) },
  { key: 'kind', title: 'Kind', width: '6rem', cell: (it) => it.framing ?? it.opcode },
  { key: 'data', title: 'Message', width: 'minmax(10rem, 4fr)', cell: (it) => html`<span class="mono">${preview(it)}</span>${it.times > 1 && html` <b class="times">repeated ${number(it.times)} times</b>`}${it.rules && html` <b class="bad">${it.verdict}: ${visible(it.rules.join(', '))}</b>`}` },
];

/** Beside a message that is open. */
const narrow = columns.filter(({ key }) => ['time', 'direction', 'websocket', 'data'].includes(key));

/** Kept beyond the page, so that coming back finds them. */
const events = new Events();
let beats = 0;

function take(event) {
  if (event.type !== 'message') return;
  if (event.heartbeat) beats += 1;
  const size = 300 + (event.text?.length ?? 0) * 2 + (event.base64?.length ?? 0) + (event.documents ? event.size * 2 : 0);
  events.push(event, size);
}

/** What comes again and again stands there once, with a number. */
function folded(items, keeps, hides) {
  const rows = [];
  for (const { item } of items) {
    if (item.type !== 'gap' && (!keeps(item) || (hides && item.heartbeat))) continue;
    const before = rows.at(-1);
    const isSame = before && before.websocket === item.websocket && before.direction === item.direction && item.type !== 'gap'
      && before.size === item.size && before.text === item.text && before.base64 === item.base64;
    if (isSame) before.times += 1;
    else rows.push({ ...item, times: 1 });
  }
  return rows;
}

export function Messages() {
  useStore(place);
  useStore(events);
  const [direction, setDirection] = useState('');
  const [opcode, setOpcode] = useState('');
  const [text, setText] = useState('');
  const [sizes, setSizes] = useState({ at_least: '', at_most: '' });
  const [hides, setHides] = useState(true);
  const [raw, setRaw] = useState(null);
  const [selected, setSelected] = useState(null);
  const search = useRef(null);

  const { websocket, connection, host, client, user } = place.filter;
  const mayWatch = session.may('content') && open.state?.view.content !== false;
  const asked = mayWatch
    ? wanted(['messages'], { websocket, connection, host, client, user }, { direction, opcode, text, ...sizes, ...(raw && { raw: true, reason: raw }) })
    : null;
  useWatch(asked, events, take);

  // The proxy filters what comes; what has come already is filtered here, in the same way.
  const rows = useMemo(() => {
    const is = (wantedValue, value) => !wantedValue || String(value) === String(wantedValue);
    const inHost = (name) => !host || name === host || name?.endsWith(`.${host}`);
    const keeps = (it) => is(websocket, it.websocket) && is(connection, it.connection) && is(direction, it.direction)
      && is(opcode, it.opcode) && is(client, it.client) && is(user, it.user) && inHost(bareHost(it.host))
      && (!text || it.text?.includes(text)) && (!sizes.at_least || it.size >= sizes.at_least) && (!sizes.at_most || it.size <= sizes.at_most);
    return folded(events.ring.items, keeps, hides);
  }, [events.ring.items, events.ring.items.length, events.ring.dropped, place.filter, direction, opcode, text, sizes, hides]);
  const { follow, setAway, toEnd, fresh } = useFollow(rows.length);
  const at = rows.findIndex((row) => row.id === selected);
  const found = at >= 0 && rows[at].type !== 'gap' ? rows[at] : null;

  useEffect(() => {
    const key = (event) => {
      if (event.target.tagName === 'INPUT' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === '/') {
        search.current?.focus();
        event.preventDefault();
      } else if (event.key === 'Escape') setSelected(null);
      else if (event.key === 'e') {
        setSelected(null);
        toEnd();
      }
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);

  if (!mayWatch) {
    return html`<${Head} title="Messages" /><p>${session.may('content') ? 'The configuration lets nobody watch content (view.content).' : 'You may see what is open, and no content.'}</p>`;
  }
  const dropped = events.ring.dropped;
  return html`
    <${Head} title="Messages">
      <${StreamState} asked=${asked} />
      <${Unmask} raw=${raw} onRaw=${(reason) => { events.clear(); setSelected(null); setRaw(reason); }} />
      <${Keep} empty=${!rows.length} of=${{ raw, websocket, connection }} items=${() => rows.filter((row) => row.type === 'message')} />
      <button onClick=${() => { events.clear(); beats = 0; setSelected(null); }}>Clear</button>
    <//>
    <${Conditions} names=${['websocket', 'connection', 'host', 'client', 'user']}>
      <label class=${`condition ${text ? 'set' : ''}`}><span>text</span><input ref=${search} type="search" value=${text} placeholder="press /" onChange=${(event) => setText(event.target.value)} /></label>
      <label class="condition"><span>direction</span><select value=${direction} onChange=${(event) => setDirection(event.target.value)}>
        <option value="">both</option><option value="to_origin">↑ to origin</option><option value="to_client">↓ to client</option></select></label>
      <label class="condition"><span>opcode</span><select value=${opcode} onChange=${(event) => setOpcode(event.target.value)}>
        <option value="">any</option><option value="text">text</option><option value="binary">binary</option></select></label>
      ${[['at_least', 'bytes from'], ['at_most', 'to']].map(([name, title]) => html`<label key=${name} class=${`condition size ${sizes[name] ? 'set' : ''}`}><span>${title}</span><input inputmode="numeric" pattern="[0-9]*" value=${sizes[name]} onChange=${(event) => setSizes({ ...sizes, [name]: event.target.value.replace(/\D/g, '') })} /></label>`)}
      <label class="condition"><input type="checkbox" checked=${hides} onChange=${(event) => setHides(event.target.checked)} /><span>hide heartbeats${beats ? ` (${number(beats)})` : ''}</span></label>
    <//>
    ${dropped > 0 && html`<p class="gone">${number(dropped)} older messages were let go: this tab keeps 5,000 or 16 MB.</p>`}
    <div class=${`split ${found ? 'two' : ''}`}>
      <${List} label="Messages" columns=${found ? narrow : columns} count=${rows.length} row=${(index) => rows[index]} id=${(row) => row.id}
        selected=${selected} onSelect=${(row) => setSelected(row.id)} onFilter=${(name, value) => value != null && place.narrow(name, value)}
        follow=${follow && !found} onAway=${setAway} rowClass=${(row) => (row.type === 'gap' ? 'gap' : row.rules ? 'ruled' : '')}
        empty=${events.ring.items.length ? 'None of the messages is like this: take a condition away.' : 'Messages show here as they pass, of hosts that are bumped. Nothing is kept for those who come later.'} />
      ${found && html`<aside class="detail" aria-label="One message">
        <button class="plain close" aria-label="Close the message" onClick=${() => setSelected(null)}>×</button>
        <${Facts} facts=${[
          ['Time', clock(found.time)], ['Direction', found.direction === 'to_origin' ? '↑ client to origin' : '↓ origin to client'],
          ['Number', number(found.number)], ['Host', visible(found.host ?? '')], ['Path', visible(found.path ?? '')],
          ['Client', found.client], ['User', found.user && visible(found.user)],
          ['Connection', html`<a href=${place.link('connections', found.connection)}>${found.connection}</a>`],
          ['Rules', found.rules && visible(`${found.verdict}: ${found.rules.join(', ')}`)],
        ]} />
        <${Content} it=${found} />
      </aside>`}
    </div>
    ${!follow && html`<button class="newer" onClick=${() => { setSelected(null); toEnd(); }}>${fresh ? `${number(fresh)} new` : 'To the end'} ↓</button>`}`;
}

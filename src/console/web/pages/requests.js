// Requests as they end, with their heads and bodies where those are watched.
import { html, useEffect, useMemo, useState } from '../vendor/preact.js';
import { session } from '../api.js';
import { Exchanges } from '../exchanges.js';
import { curl } from '../export.js';
import { bytes, clock, line, number, seconds, visible } from '../format.js';
import { List, useFollow } from '../list.js';
import { lately, open } from '../live.js';
import { bareHost, Conditions, Content, Copy, Facts, Head, matches } from '../parts.js';
import { place } from '../place.js';
import { useStore } from '../store.js';
import { Keep, StreamState, Unmask, useWatch, wanted } from '../watched.js';

const sum = (count) => count && count.to_origin + count.to_client;
const isBad = (it) => it.end?.error || it.status >= 500;

const columns = [
  { key: 'time', title: 'Time', width: '7.5rem', cell: (it) => clock(it.time) },
  { key: 'method', title: 'Method', width: '4.2rem', cell: (it) => it.method },
  { key: 'host', title: 'Host', width: 'minmax(8rem, 1.5fr)', cell: (it) => visible(it.host ?? ''), filter: (it) => bareHost(it.host) },
  { key: 'path', title: 'Path', width: 'minmax(8rem, 3fr)', cell: (it) => line(it.path) },
  { key: 'status', title: 'Status', width: '4.5rem', numeric: true, cell: (it) => it.status },
  { key: 'wait', title: 'Wait', width: '4.2rem', numeric: true, cell: (it) => seconds(it.end?.wait_seconds) },
  { key: 'total', title: 'Total', width: '4.2rem', numeric: true, cell: (it) => seconds(it.end?.seconds) },
  { key: 'bytes', title: 'Bytes', width: '4.5rem', numeric: true, cell: (it) => bytes(sum(it.end?.bytes)) },
  { key: 'client', title: 'Client', width: 'minmax(6rem, 1fr)', cell: (it) => it.client, filter: (it) => it.client },
  { key: 'user', title: 'User', width: 'minmax(4rem, .8fr)', cell: (it) => visible(it.user ?? ''), filter: (it) => it.user },
  { key: 'error', title: 'Error', width: 'minmax(9.5rem, 1.2fr)', cell: (it) => it.end?.error },
];

/** Beside a request that is open. */
const narrow = columns.filter(({ key }) => ['time', 'method', 'host', 'path', 'status'].includes(key));

const events = new Exchanges();

function Message({ title, head, body, none }) {
  return html`<section>
    <h2>${title}</h2>
    ${head ? html`<table class="fields"><tbody>${head.fields.map((field, at) => html`<tr key=${at}><th scope="row">${visible(field.name)}</th><td>${visible(field.value)}</td></tr>`)}</tbody></table>` : html`<p class="quiet">${none}</p>`}
    ${body && html`<${Content} it=${body} />`}
  </section>`;
}

export function Requests() {
  useStore(place);
  useStore(events);
  const [whole, setWhole] = useState(false);
  const [bad, setBad] = useState(false);
  const [raw, setRaw] = useState(null);
  const [selected, setSelected] = useState(null);
  const mayWatch = session.may('content') && open.state?.view.content !== false;
  const { host, client, user, connection } = place.filter;
  const topics = ['requests', 'findings', 'refusals', 'reloads', ...(whole ? ['bodies'] : [])];
  const asked = wanted(topics, { host, client, user, connection }, raw && whole ? { raw: true, reason: raw } : {});
  useWatch(asked, events, (event, topic) => {
    if (topic === 'requests' || topic === 'bodies') events.take(event);
    else lately.take(event, topic);
  });

  const rows = useMemo(() => events.ring.items.map(({ item }) => item)
    .filter((it) => it.type === 'gap' || (matches(it, place.filter) && (!bad || isBad(it)))), [events.ring.items.length, events.ring.dropped, place.filter, bad, bad && events.ring.bytes]);
  const { follow, setAway, toEnd, fresh } = useFollow(rows.length);
  const found = rows.find((row) => row.id === selected && row.type !== 'gap');

  useEffect(() => {
    const key = (event) => {
      if (event.key === 'Escape') setSelected(null);
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);

  const missing = whole ? 'None was watched.' : 'Heads and bodies were not watched.';
  return html`
    <${Head} title="Requests">
      <${StreamState} asked=${asked} />
      ${whole && html`<${Unmask} raw=${raw} onRaw=${(reason) => { events.clear(); setSelected(null); setRaw(reason); }} />`}
      ${mayWatch && html`<${Keep} empty=${!rows.length} of=${{ raw, connection }} items=${() => rows.filter((row) => row.type === 'exchange')} />`}
      <button onClick=${() => { events.clear(); setSelected(null); }}>Clear</button>
    <//>
    <${Conditions} names=${['client', 'user', 'host', 'connection']}>
      ${mayWatch && html`<label class="condition"><input type="checkbox" checked=${whole} onChange=${(event) => setWhole(event.target.checked)} /><span>watch heads and bodies</span></label>`}
      <label class="condition"><input type="checkbox" checked=${bad} onChange=${(event) => setBad(event.target.checked)} /><span>only what failed or was stopped</span></label>
    <//>
    ${events.ring.dropped > 0 && html`<p class="gone">${number(events.ring.dropped)} older requests were let go: this tab keeps 3,000 or 24 MB.</p>`}
    <div class=${`split ${found ? 'two' : ''}`}>
      <${List} label="Requests" columns=${found ? narrow : columns} count=${rows.length} row=${(at) => rows[at]} id=${(row) => row.id}
        selected=${selected} onSelect=${(row) => setSelected(row.id)} onFilter=${(name, value) => value && place.narrow(name, value)}
        follow=${follow && !found} onAway=${setAway} rowClass=${(row) => (row.type === 'gap' ? 'gap' : isBad(row) ? 'ruled' : '')}
        empty=${events.ring.items.length ? 'None of the requests is like this: take a condition away.' : 'Requests show here when they end. None has since this page was opened.'} />
      ${found && html`<aside class="detail" aria-label="One request">
        <button class="plain close" aria-label="Close the request" onClick=${() => setSelected(null)}>×</button>
        <p class="url">${found.method} ${visible(found.path)}</p>
        <${Facts} facts=${[
          ['Host', visible(found.host ?? '')], ['Status', found.status], ['Version', found.version], ['Request id', found.end?.request],
          ['Wait', seconds(found.end?.wait_seconds)], ['Total', seconds(found.end?.seconds)], ['Client', found.client],
          ['User', found.user && visible(found.user)], ['Rule', found.rule && visible(found.rule)],
          ['Error', found.end?.error], ['Cause', found.end?.detail && visible(found.end.detail)],
          ['Connection', html`<a href=${place.link('connections', found.connection)}>${found.connection}</a>`],
        ]} />
        ${found.head && html`<div class="actions"><${Copy} title="Copy as curl" text=${() => curl(found)} /></div>`}
        <${Message} title="Request" head=${found.head} body=${found.sent} none=${missing} />
        <${Message} title="Response" head=${found.response} body=${found.received} none=${missing} />
      </aside>`}
    </div>
    ${!follow && html`<button class="newer" onClick=${() => { setSelected(null); toEnd(); }}>${fresh ? `${number(fresh)} new` : 'To the end'} ↓</button>`}`;
}

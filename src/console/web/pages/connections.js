// What is open now.
import { html, useEffect, useMemo, useRef, useState } from '../vendor/preact.js';
import { bytes, micros, number, seconds, visible } from '../format.js';
import { isMarking, List } from '../list.js';
import { open } from '../live.js';
import { bareHost, Conditions, Head, matches } from '../parts.js';
import { place } from '../place.js';
import { useStore } from '../store.js';

const way = (count) => html`<span class="up">${count[0]}</span><span class="down">${count[1]}</span>`;

export const columns = [
  { key: 'id', title: 'No.', width: '3rem', numeric: true, cell: (it) => it.id, sort: (it) => it.id },
  { key: 'client', title: 'Client', width: 'minmax(6rem, 1.2fr)', cell: (it) => it.client, sort: (it) => it.client ?? '', filter: (it) => it.client },
  { key: 'user', title: 'User', width: 'minmax(4.2rem, 1fr)', cell: (it) => visible(it.user ?? ''), sort: (it) => it.user ?? '', filter: (it) => it.user },
  { key: 'host', title: 'Host', width: 'minmax(9rem, 2.2fr)', cell: (it) => visible((it.host ?? '').replace(/:443$/, '')), sort: (it) => it.host ?? '', filter: (it) => bareHost(it.host) },
  { key: 'action', title: 'Action', width: '4rem', cell: (it) => it.action, sort: (it) => it.action ?? '', filter: (it) => it.action },
  { key: 'rule', title: 'Rule', width: 'minmax(4.5rem, 1fr)', cell: (it) => visible(it.rule ?? ''), sort: (it) => it.rule ?? '', filter: (it) => it.rule },
  { key: 'protocol', title: 'Protocol', width: '5.2rem', cell: (it) => (it.websockets.length > 1 ? `${it.protocol} × ${it.websockets.length}` : it.protocol), sort: (it) => it.protocol },
  { key: 'seconds', title: 'Age', width: '4.8rem', numeric: true, cell: (it) => seconds(it.seconds), sort: (it) => it.seconds },
  { key: 'quiet', title: 'Last frame', width: '5rem', numeric: true, cell: (it) => seconds(it.quiet), sort: (it) => it.quiet ?? Infinity },
  { key: 'messages', title: 'Messages ↑ ↓', width: '6.4rem', numeric: true, cell: (it) => it.websockets.length > 0 && way(it.messages.map(number)), sort: (it) => it.messages[0] + it.messages[1] },
  { key: 'bytes', title: 'Bytes ↑ ↓', width: '7rem', numeric: true, cell: (it) => way(it.bytes.map(bytes)), sort: (it) => it.bytes[0] + it.bytes[1] },
  { key: 'rate', title: 'Per second', width: '5rem', numeric: true, cell: (it) => (it.rate[0] + it.rate[1] >= 1 ? bytes(it.rate[0] + it.rate[1]) : ''), sort: (it) => it.rate[0] + it.rate[1] },
  { key: 'inside', title: 'In proxy', width: '4rem', numeric: true, hint: () => 'How long the last frame was inside of the proxy', cell: (it) => micros(it.inside), sort: (it) => it.inside ?? -1 },
];

function ordered(rows, sort) {
  const by = columns.find((column) => column.key === sort.key).sort;
  const keys = new Map(rows.map((row) => [row.id, by(row)]));
  const less = (a, b) => {
    const [one, other] = [keys.get(a.id), keys.get(b.id)];
    const order = one < other ? -1 : one > other ? 1 : a.id - b.id;
    return sort.down ? -order : order;
  };
  return rows.sort(less).map((row) => row.id);
}

/** What is open is sorted once and keeps its order: numbers go on changing in it, and nothing jumps. */
export function Connections() {
  useStore(place);
  useStore(open);
  const [sort, setSort] = useState({ key: 'id', down: true });
  const [selected, setSelected] = useState(null);
  const [turn, setTurn] = useState(0);
  const [top, setTop] = useState(true);
  const frozen = useRef({ ids: [], key: '', rows: new Map() });

  useEffect(() => {
    open.start();
    return () => open.stop();
  }, []);

  const wanted = useMemo(() => [...open.rows.values()].filter((row) => matches(row, place.filter)), [open.rows, place.filter]);
  const key = JSON.stringify([sort, place.filter, turn]);
  // New ones come on top of those that are sorted by their numbers, as long as nobody reads further down or marks text.
  const follows = sort.key === 'id' && sort.down && selected == null && top && !isMarking();
  const { rows } = frozen.current;
  if (frozen.current.key !== key || follows || frozen.current.ids.length === 0) {
    frozen.current = { ids: ordered(wanted, sort), key, rows: new Map(wanted.map((row) => [row.id, row])) };
  } else {
    // What has ended stays where it was, so that the others do.
    for (const id of frozen.current.ids) rows.set(id, open.rows.get(id) ?? { ...rows.get(id), ended: true });
  }
  const { ids, rows: shown } = frozen.current;
  const ended = ids.filter((id) => shown.get(id).ended).length;
  const fresh = wanted.filter((row) => !shown.has(row.id)).length;

  useEffect(() => {
    const again = (event) => {
      if (event.key === 's' && event.target.tagName !== 'INPUT' && !event.ctrlKey && !event.metaKey) setTurn((n) => n + 1);
      if (event.key === 'Escape') setSelected(null);
    };
    addEventListener('keydown', again);
    return () => removeEventListener('keydown', again);
  }, []);

  const all = open.rows.size;
  const counted = all < open.total ? `${number(all)} of ${number(open.total)} that are open` : `${number(wanted.length)} of ${number(all)} open`;
  return html`
    <${Head} title="Connections">
      <p class="quiet" role="status">${open.problem || counted}</p>
      ${fresh + ended > 0 && html`<button class="fresh" onClick=${() => { setSelected(null); setTurn(turn + 1); }}>${[fresh && `${number(fresh)} new`, ended && `${number(ended)} ended`].filter(Boolean).join(', ')}: sort again</button>`}
    <//>
    <${Conditions} names=${['client', 'user', 'host', 'action', 'rule']} />
    <${List} label="Connections" columns=${columns} count=${ids.length} row=${(at) => shown.get(ids[at])} id=${(row) => row.id}
      sort=${sort} onSort=${(to) => { setSelected(null); setSort(to); }} selected=${selected}
      onSelect=${(row, opens) => { setSelected(row.id); if (opens) place.go('connections', row.id); }}
      onFilter=${(name, value) => value && place.narrow(name, value)}
      onTop=${setTop} rowClass=${(row) => `action-${row.action ?? 'none'} ${row.ended ? 'ended' : ''}`}
      empty=${all ? 'None of the open connections is like this: take a condition away.' : 'Nothing is open. Send something through the proxy, and it shows here.'} />`;
}

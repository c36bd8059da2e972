// What rules found, what could not be looked into, and clients that refuse the CA.
import { html, useEffect, useMemo, useState } from '../vendor/preact.js';
import { clock, number, visible } from '../format.js';
import { List, useFollow } from '../list.js';
import { lately } from '../live.js';
import { bareHost, Conditions, Facts, Head, Lines, matches } from '../parts.js';
import { place } from '../place.js';
import { useStore } from '../store.js';

const columns = [
  { key: 'time', title: 'Time', width: '7.5rem', cell: (it) => clock(it.time) },
  { key: 'rule', title: 'Rule', width: 'minmax(8rem, 1.5fr)', cell: (it) => visible(it.rule ?? `not looked into: ${it.reason}`), filter: (it) => it.rule },
  { key: 'verdict', title: 'Verdict', width: '7rem', cell: (it) => verdict(it) },
  { key: 'matches', title: 'Matches', width: '5rem', numeric: true, cell: (it) => number(it.matches) },
  { key: 'host', title: 'Host', width: 'minmax(8rem, 1.5fr)', cell: (it) => visible(it.host ?? ''), filter: (it) => bareHost(it.host) },
  { key: 'path', title: 'Path', width: 'minmax(8rem, 2fr)', cell: (it) => visible(it.path ?? '') },
  { key: 'surface', title: 'Where', width: 'minmax(7rem, 1fr)', cell: (it) => `${it.surface} ${it.direction === 'to_origin' ? '↑' : '↓'}` },
  { key: 'client', title: 'Client', width: 'minmax(6rem, 1fr)', cell: (it) => it.client, filter: (it) => it.client },
  { key: 'user', title: 'User', width: 'minmax(4rem, .8fr)', cell: (it) => visible(it.user ?? ''), filter: (it) => it.user },
];

/** Beside a finding that is open. */
const narrow = columns.filter(({ key }) => ['time', 'rule', 'verdict', 'host'].includes(key));

const done = { pass: 'passed', change: 'changed', drop: 'dropped', close: 'closed', log: 'logged', alert: 'alerted', allow: 'allowed', redact: 'changed' };
const would = { redact: 'would change', drop: 'would drop', close: 'would close' };
/** What became of it, or with a rule that only observes would have. */
const verdict = (it) => (it.type !== 'finding' ? (it.stopped ? 'stopped' : 'passed') : (!it.enforced && would[it.action]) || done[it.enforced && it.verdict !== 'pass' ? it.verdict : it.action] || it.verdict);
const ways = { to_origin: 'client to origin', to_client: 'origin to client' };

const stopped = (it) => it.stopped || (it.enforced && it.verdict !== 'pass');

export function Findings() {
  useStore(place);
  useStore(lately);
  const [only, setOnly] = useState(false);
  const [selected, setSelected] = useState(null);
  useEffect(() => lately.seen('findings'));
  const { items, dropped } = lately.findings;
  const rows = useMemo(() => items.map(({ item }) => item).filter((it) => matches(it, place.filter) && (!only || stopped(it))), [items.length, dropped, place.filter, only]);
  const { follow, setAway, toEnd, fresh } = useFollow(rows.length);
  const found = rows.find((row) => row.id === selected);
  return html`
    <${Head} title="Findings"><p class="quiet" role="status">${number(rows.length)} of ${number(items.length)}; the proxy remembers the last 500</p><//>
    <${Conditions} names=${['rule', 'client', 'user', 'host']}>
      <label class="condition"><input type="checkbox" checked=${only} onChange=${(event) => setOnly(event.target.checked)} /><span>only what was stopped or changed</span></label>
    <//>
    <div class=${`split ${found ? 'two' : ''}`}>
      <${List} label="Findings" columns=${found ? narrow : columns} count=${rows.length} row=${(at) => rows[at]} id=${(row) => row.id} selected=${selected}
        onSelect=${(row) => setSelected(row.id)} onFilter=${(name, value) => value && place.narrow(name, value)}
        follow=${follow && !found} onAway=${setAway} rowClass=${(row) => (stopped(row) ? 'ruled' : '')}
        empty=${items.length ? 'None of the findings is like this: take a condition away.' : 'No rule has found anything since the proxy started. Rules stand under [[inspect.rule]] of the configuration.'} />
      ${found && html`<aside class="detail" aria-label="One finding">
        <button class="plain close" aria-label="Close the finding" onClick=${() => setSelected(null)}>×</button>
        <${Facts} facts=${[
          ['Time', clock(found.time)], ['Rule', visible(found.rule ?? '')], ['Not looked into', found.reason], ['Verdict', verdict(found)],
          ['The rule', found.enforced == null ? null : found.enforced ? 'is enforced' : 'only observes'], ['Where', `${found.surface}, ${ways[found.direction] ?? found.direction}`],
          ['Host', visible(found.host ?? '')], ['Path', visible(found.path ?? '')], ['Client', found.client], ['User', found.user && visible(found.user)],
          ['Scanner says', found.detail && visible(found.detail)], ['Around it', found.excerpt && html`<code>${visible(found.excerpt)}</code>`],
          ['Connection', html`<a href=${place.link('connections', found.connection)}>${found.connection}</a>`],
        ]} />
      </aside>`}
    </div>
    ${!follow && fresh > 0 && html`<button class="newer" onClick=${() => { setSelected(null); toEnd(); }}>${number(fresh)} new ↓</button>`}`;
}

const meant = {
  unknown_ca: 'It does not know the CA: install it where this client looks. Python, Node, Java, Docker and Firefox have stores of their own.',
  bad_certificate: 'It refuses the certificate. Some clients say this where they do not know the CA; others pin the certificate of their own server.',
  certificate_unknown: 'It refuses the certificate: it does not know the CA (Java and Chromium say it so), or it pins its server’s own.',
  certificate_expired: 'It holds a certificate to be out of date: look at the clock of the client.',
};

/** Refusals by who refused and what. */
export function Refusals() {
  useStore(lately);
  useEffect(() => lately.seen('refusals'));
  const groups = new Map();
  for (const { item } of lately.refusals.items) {
    const key = JSON.stringify([item.client, item.server_name, item.alert]);
    const group = groups.get(key) ?? { ...item, times: 0 };
    group.times += 1;
    group.time = item.time;
    groups.set(key, group);
  }
  const rows = [...groups.values()].reverse();
  return html`
    <${Head} title="Clients that refuse the CA"><p class="quiet" role="status">${rows.length === 1 ? '1 client and host' : `${number(rows.length)} clients and hosts`}</p><//>
    <div class="scroll" tabindex="0" role="region" aria-label="Refused certificates">
      ${rows.length === 0 && html`<p class="empty">No client has refused a certificate of this proxy.</p>`}
      ${rows.map((row) => html`<section class="card" key=${row.id}>
        <h2>${visible(row.server_name)}</h2>
        <${Facts} facts=${[['Client', row.client], ['User', row.user && visible(row.user)], ['It said', row.alert], ['Times', number(row.times)], ['Last', clock(row.time)]]} />
        <p>${meant[row.alert] ?? 'It broke the handshake off when it saw the certificate.'}</p>
        <p>If the client cannot be made to trust the CA, leave this host alone. This goes into a list that a rule with <code>action = "splice"</code> names, or into <code>policy.splice</code>:</p>
        <${Lines} text=${row.server_name} />
        <p><a href=${place.link('policy', null, { target: `${row.server_name}:443`, client: row.client ?? '' })}>What the policy says of it now</a> · <a href=${place.link('state')}>The CA and its fingerprint</a></p>
      </section>`)}
    </div>`;
}

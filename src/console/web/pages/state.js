// The process: its state, its CA, and what an operator may do.
import { html, useEffect, useState } from '../vendor/preact.js';
import { get, post, session } from '../api.js';
import { clock, number, seconds, visible } from '../format.js';
import { lately } from '../live.js';
import { Ask, Facts, Head, Lines } from '../parts.js';
import { useStore } from '../store.js';
import { Unlocks } from './unlocks.js';

const people = { show: 'by their names and addresses', pseudonym: 'by pseudonyms that stay for a day', hide: 'not at all' };

const acts = {
  reload: {
    title: 'Load the configuration again?',
    text: 'Where it is wrong, nothing changes and the reason shows here.',
    action: 'Reload',
  },
  drain: {
    title: 'Drain and end the proxy?',
    text: 'New connections are refused, open ones get their time to end, and then the process ends. Only a service manager starts it again.',
    action: 'Drain and end',
  },
};

export function State() {
  useStore(lately);
  const [state, setState] = useState(null);
  const [ca, setCa] = useState(null);
  const [problem, setProblem] = useState('');
  const [asks, setAsks] = useState(null);
  const [told, setTold] = useState('');
  useEffect(() => {
    const look = () => get('state').then((found) => { setState(found); setProblem(''); }, (error) => setProblem(error.message));
    look();
    get('ca').then(setCa, (error) => setProblem(error.message));
    const timer = setInterval(look, 2000);
    return () => clearInterval(timer);
  }, []);
  const reloads = lately.reloads.items.map(({ item }) => item).reverse();
  return html`
    <${Head} title="State"><p class="bad" role="alert">${problem}</p><//>
    <div class="scroll" tabindex="0" role="region" aria-label="State">
      ${state && html`<section class="card"><h2>The process</h2><${Facts} facts=${[
        ['State', state.draining ? 'draining' : 'serving'], ['Version', state.version], ['Instance', state.instance], ['Up for', seconds(state.uptime_seconds)],
        ['Connections', `${number(state.connections)} of at most ${number(state.connection_limit)}`], ['Watchers', number(state.watching)],
        ['Content', state.view.content ? (state.view.raw ? 'may be watched, also without a mask' : 'may be watched, with secrets masked') : 'is not shown'],
        ['People are called', people[state.view.people] ?? state.view.people],
      ]} />
      ${session.may('operate') && html`<div class="actions"><button onClick=${() => setAsks('reload')}>Reload…</button><button class="danger" onClick=${() => setAsks('drain')}>Drain…</button></div>`}
      <p role="status">${told}</p></section>`}
      ${state && html`<${Unlocks} view=${state.view} />`}
      <section class="card"><h2>Reloads since this page was opened</h2>
        ${reloads.length ? html`<ul class="plain">${reloads.map((it) => html`<li key=${it.id}><span class="quiet">${clock(it.time)}</span> <b class=${it.result === 'success' ? 'good' : 'bad'}>${it.result}</b> ${it.error && html`<pre tabindex="0">${visible(it.error)}</pre>`}</li>`)}</ul>` : html`<p class="quiet">None.</p>`}
      </section>
      ${ca && html`<section class="card"><h2>The CA that clients must trust</h2><${Facts} facts=${[['Subject', visible(ca.subject)], ['SHA-256', html`<code>${ca.fingerprint_sha256}</code>`]]} /><${Lines} text=${ca.pem} /></section>`}
    </div>
    ${asks && html`<${Ask} ...${acts[asks]} onClose=${() => setAsks(null)} onDone=${async () => { const { result } = await post(asks); setTold(`${asks}: ${result}`); }} />`}`;
}

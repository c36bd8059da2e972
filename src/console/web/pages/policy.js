// What the policy is, and what it says to a destination.
import { html, useEffect, useState } from '../vendor/preact.js';
import { get, post } from '../api.js';
import { number, visible } from '../format.js';
import { Head } from '../parts.js';
import { place } from '../place.js';

const where = (at) => (at == null ? '' : typeof at === 'string' ? at : at.join?.(':') ?? JSON.stringify(at));

const fields = [
  { name: 'target', title: 'Destination', hint: 'example.com:443 or a URL', required: true },
  { name: 'client', title: 'Client', hint: '192.0.2.1' },
  { name: 'user', title: 'User', hint: 'ada' },
  { name: 'groups', title: 'Groups', hint: 'staff, admins' },
  { name: 'sni', title: 'Server name (SNI)', hint: 'example.com' },
  { name: 'method', title: 'Method', hint: 'POST' },
  { name: 'path', title: 'Path', hint: '/upload' },
  { name: 'listener', title: 'Listener', hint: 'proxy' },
  { name: 'time', title: 'Time', hint: 'Mon 09:30' },
];

function Answer({ answer }) {
  return html`<section class="card" aria-label="The answer">
    <h2><span class=${`verdict action-${answer.action}`}>${answer.action}</span> ${visible(answer.target)}</h2>
    <pre tabindex="0">${visible(answer.text)}</pre>
  </section>`;
}

function Explain() {
  const [asked, setAsked] = useState({ target: '', ...place.filter });
  const [answer, setAnswer] = useState(null);
  const [problem, setProblem] = useState('');
  const ask = async (question) => {
    const body = {};
    for (const [name, value] of Object.entries(question)) {
      const given = value.trim();
      if (!given || !fields.some((field) => field.name === name)) continue;
      body[name] = name === 'groups' ? given.split(/[\s,]+/).filter(Boolean) : given;
    }
    try {
      setAnswer(await post('policy/explain', body));
      setProblem('');
    } catch (error) {
      setProblem(error.message);
      setAnswer(null);
    }
  };
  useEffect(() => {
    if (place.filter.target) ask(place.filter);
  }, []);
  return html`<section class="card">
    <h2>What would happen to…</h2>
    <form class="explain" onSubmit=${(event) => { event.preventDefault(); ask(asked); }}>
      ${fields.map(({ name, title, hint, required }) => html`<label key=${name}>${title}
        <input name=${name} value=${asked[name] ?? ''} placeholder=${hint} required=${required} spellcheck=${false} autocomplete="off"
          onInput=${(event) => setAsked({ ...asked, [name]: event.target.value })} /></label>`)}
      <button>Explain</button>
    </form>
    <p class="bad" role="alert">${problem}</p>
    ${answer && html`<${Answer} answer=${answer} />`}
  </section>`;
}

export function Policy() {
  const [policy, setPolicy] = useState(null);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    get('policy').then(setPolicy, (error) => setProblem(error.message));
  }, []);
  return html`
    <${Head} title="Policy" />
    <div class="scroll" tabindex="0" role="region" aria-label="Policy">
      <${Explain} />
      <section class="card">
        <h2>Rules, first to last</h2>
        <p class="bad" role="alert">${problem}</p>
        ${policy && (policy.rules.length ? html`<table><thead><tr><th scope="col">Rule</th><th scope="col">Action</th><th scope="col"></th><th scope="col">At</th></tr></thead><tbody>
          ${policy.rules.map((rule) => html`<tr key=${rule.name}><td>${visible(rule.title ?? rule.name)}${rule.title && html` <span class="quiet">${rule.name}</span>`}</td>
            <td><span class=${`verdict action-${rule.action}`}>${rule.action}</span></td><td>${rule.observed ? 'only observed' : ''}</td>
            <td><a href=${place.link('connections', null, { rule: rule.name })}>what is open by it</a> <span class="quiet">${where(rule.at)}</span></td></tr>`)}
        </tbody></table>` : html`<p>There is no [[policy.rule]]: the lists under [policy] decide.</p>`)}
        ${policy?.settings > 0 && html`<p class="quiet">${number(policy.settings)} settings say how connections are treated.</p>`}
      </section>
    </div>`;
}

export function Lists() {
  const [lists, setLists] = useState(null);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    get('lists').then(({ lists: found }) => setLists(found), (error) => setProblem(error.message));
  }, []);
  return html`
    <${Head} title="Lists" />
    <div class="scroll" tabindex="0" role="region" aria-label="Lists">
      <section class="card">
        <p class="bad" role="alert">${problem}</p>
        ${lists && (lists.length ? html`<table><thead><tr><th scope="col">List</th><th scope="col" class="number">Entries</th></tr></thead><tbody>
          ${lists.map((list) => html`<tr key=${list.name}><td>${visible(list.name)}</td><td class="number">${number(list.entries)}</td></tr>`)}
        </tbody></table>` : html`<p>The configuration has no [[list]].</p>`)}
      </section>
    </div>`;
}

// What one person sees only once another has let them.
import { html, useEffect, useState } from '../vendor/preact.js';
import { get, post, session } from '../api.js';
import { seconds, visible } from '../format.js';
import { Ask } from '../parts.js';

const titles = { raw: 'content without its mask', people: 'the names of people' };

export function Unlocks({ view }) {
  const [all, setAll] = useState([]);
  const [asks, setAsks] = useState(null);
  const [problem, setProblem] = useState('');
  const look = () => get('unlocks').then(({ unlocks }) => setAll(unlocks), (error) => setProblem(error.message));
  useEffect(() => {
    look();
    const timer = setInterval(look, 2000);
    return () => clearInterval(timer);
  }, []);
  const act = (path) => post(path).then(() => setProblem(''), (error) => setProblem(error.message)).then(look);
  const locked = Object.keys(titles).filter((what) => view.two_persons[what] && (what !== 'raw' || (session.may('raw') && view.raw)));
  if (!locked.length && !all.length) return null;
  return html`<section class="card"><h2>What it takes two people to see</h2>
    <p class="bad" role="alert">${problem}</p>
    <div class="actions">${locked.map((what) => html`<button key=${what} onClick=${() => setAsks(what)}>Ask to see ${titles[what]}…</button>`)}</div>
    ${all.length > 0 && html`<table><thead><tr><th scope="col">Who</th><th scope="col">What</th><th scope="col">Why</th><th scope="col">State</th><th scope="col"></th></tr></thead><tbody>
      ${all.map((it) => html`<tr key=${it.id}><td>${visible(it.by)}</td><td>${titles[it.what]}, ${seconds(it.seconds)}</td><td>${visible(it.reason)}</td>
        <td>${it.state === 'granted' ? `let by ${visible(it.granted_by)}, ${seconds(it.seconds_left)} left` : it.state === 'asked' ? 'waits for another person' : 'ended'}</td>
        <td class="actions">${it.state === 'asked' && session.may('approve') && it.by !== session.by && html`<button onClick=${() => act(`unlocks/${it.id}/grant`)}>Let them</button>`}
          ${it.state !== 'ended' && (session.may('approve') || it.by === session.by) && html`<button onClick=${() => act(`unlocks/${it.id}/end`)}>End it</button>`}</td></tr>`)}
    </tbody></table>`}
    ${asks && html`<${Ask} title=${`See ${titles[asks]}?`} text=${`Another person has to let you, for ${seconds(view.unlock_seconds)} at most. The audit log has both of you, and the reason.`}
      field=${{ title: 'Reason', least: 4 }} action="Ask" onClose=${() => setAsks(null)}
      onDone=${async (reason) => { await post('unlocks', { what: asks, reason, seconds: view.unlock_seconds }); await look(); }} />`}
  </section>`;
}

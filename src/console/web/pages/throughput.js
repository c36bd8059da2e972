// How much passes, and how long it takes. It is measured while this page or the connections are open.
import { html, useEffect } from '../vendor/preact.js';
import { bytes, clock, micros, number } from '../format.js';
import { open } from '../live.js';
import { Head } from '../parts.js';
import { Spark } from '../spark.js';
import { useStore } from '../store.js';

const quantile = (sorted, part) => (sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] : null);
/** Rows of the tables. */
const ROWS = 10;

function Plot({ title, about, looks, of, written, names }) {
  const series = names.map((_, at) => looks.map((look) => of(look)?.[at] ?? null));
  return html`<section class="card">
    <h2>${title}</h2>
    <p class="quiet">${about}</p>
    <div class="plot">
      <${Spark} label=${`${title}, ${names.join(' and ')}`} times=${looks.map((look) => look.at)} series=${series} classes=${['line-a', 'line-b']} written=${written} />
      <table><thead><tr><th scope="col">Time</th>${names.map((name, at) => html`<th scope="col" class=${`number key-${at ? 'b' : 'a'}`} key=${name}>${name}</th>`)}</tr></thead><tbody>
        ${looks.slice(-ROWS).reverse().map((look) => html`<tr key=${look.at}><td>${clock(look.at).slice(0, 8)}</td>${names.map((name, at) => html`<td class="number" key=${name}>${of(look)?.[at] == null ? '–' : written(of(look)[at])}</td>`)}</tr>`)}
      </tbody></table>
    </div>
  </section>`;
}

export function Throughput() {
  useStore(open);
  useEffect(() => {
    open.start();
    return () => open.stop();
  }, []);
  const looks = open.measured.items.map(({ item }) => item).slice(-300);
  const ways = ['↑ to origins', '↓ to clients'];
  return html`
    <${Head} title="Throughput and latency"><p class="quiet" role="status">${number(open.total)} open${open.problem && `; ${open.problem}`}</p><//>
    <div class="scroll" tabindex="0" role="region" aria-label="Plots">
      <${Plot} title="Bytes per second" about="Of connections that stay open; short ones that begin and end within a second are missing here, and counted in the metrics." looks=${looks}
        of=${(look) => look.bytes} written=${bytes} names=${ways} />
      <${Plot} title="Messages per second" about="Of open WebSockets." looks=${looks} of=${(look) => look.messages} written=${(value) => number(Math.round(value * 10) / 10)} names=${ways} />
      <${Plot} title="Time inside of the proxy" about="What the proxy adds: of the last frame of each WebSocket that had one within 5 s." looks=${looks}
        of=${(look) => [quantile(look.inside, 0.5), quantile(look.inside, 0.99)]} written=${micros} names=${['half of them', '99 of 100']} />
    </div>`;
}

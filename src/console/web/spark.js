// A small plot. What it shows stands in a table beside it.
import { html } from './vendor/preact.js';
import { clock } from './format.js';

const WIDTH = 720;
const HEIGHT = 120;

/** Milliseconds without a value that show as a gap. */
const GAP = 6000;

/** `series`: arrays of numbers or null at these `times`, drawn over each other by one scale. */
export function Spark({ label, times, series, classes, written }) {
  const all = series.flat().filter((value) => value != null);
  const most = Math.max(1e-9, ...all);
  const span = Math.max(60_000, times.at(-1) - times[0]);
  const x = (at) => (WIDTH - ((times.at(-1) - times[at]) / span) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - 4 - (value / most) * (HEIGHT - 12)).toFixed(1);
  const path = (values) => {
    let pen = 'M';
    let drawn = '';
    values.forEach((value, at) => {
      if (value == null) {
        pen = 'M';
        return;
      }
      if (at && times[at] - times[at - 1] > GAP) pen = 'M';
      drawn += `${pen}${x(at)} ${y(value)}`;
      pen = 'L';
    });
    return drawn;
  };
  return html`<figure class="spark">
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
      ${series.map((values, at) => html`<path key=${at} class=${classes[at]} d=${path(values)} vector-effect="non-scaling-stroke" />`)}
    </svg>
    <figcaption class="quiet">${all.length ? html`<span>${clock(times.at(-1) - span).slice(0, 8)}</span><span>at most ${written(most)}</span><span>${clock(times.at(-1)).slice(0, 8)}</span>` : 'Nothing has passed since this page was opened.'}</figcaption>
  </figure>`;
}

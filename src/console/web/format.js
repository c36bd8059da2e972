// How numbers, times and bytes are written.

const units = ['B', 'KB', 'MB', 'GB', 'TB'];

/** `1.5 MB`; powers of 1,000. */
export function bytes(count) {
  if (count == null) return '';
  let unit = 0;
  let size = count;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

const grouped = new Intl.NumberFormat('en');

/** `12,345`. */
export const number = (count) => (count == null ? '' : grouped.format(count));

/** `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function seconds(time) {
  if (time == null) return '';
  if (time < 1) return `${Math.round(time * 1000)} ms`;
  if (time < 10) return `${time.toFixed(1)} s`;
  const whole = Math.round(time);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** What is shorter than a second: `42 µs`, `1.2 ms`. */
export function micros(time) {
  if (time == null) return '';
  const whole = Math.max(1, Math.round(time * 1e6));
  return whole < 1000 ? `${whole} µs` : `${(whole / 1000).toFixed(1)} ms`;
}

const two = (n) => String(n).padStart(2, '0');

/** The time of day, with milliseconds. */
export function clock(time) {
  if (!time) return '';
  const at = new Date(time);
  const milliseconds = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${milliseconds}`;
}

// Controls of ASCII and Latin-1, what has no width, and what directs bidirectional text (Unicode Standard Annex #9).
const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** The text with everything as an escape that hides or turns round what is there. */
export const visible = (text) => text.replace(hidden, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

/** The same on one line, and no longer than a row can show. */
export const line = (text, most = 400) =>
  visible(text.slice(0, most)).replace(/[\n\t]/g, ' ') + (text.length > most ? ' …' : '');

/** What base64 stands for. */
export function decoded(base64) {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) found[at] = text.charCodeAt(at);
  return found;
}

/** One row of a hex dump: offset, 16 bytes, and what of them is ASCII. */
export function hexRow(data, row) {
  const at = row * 16;
  let hex = '';
  let ascii = '';
  for (let i = at; i < at + 16; i += 1) {
    if (i % 8 === 0 && i > at) hex += ' ';
    if (i < data.length) {
      hex += `${data[i].toString(16).padStart(2, '0')} `;
      ascii += data[i] >= 0x20 && data[i] < 0x7f ? String.fromCharCode(data[i]) : '.';
    } else {
      hex += '   ';
    }
  }
  return `${at.toString(16).padStart(6, '0')}  ${hex} ${ascii}`;
}

/** What is read as JSON at most: more would hold up the page. */
export const PRETTY = 256 * 1024;

/** JSON with line breaks, or nothing if it is none, or too much of it. */
export function pretty(text) {
  if (text.length > PRETTY || !/^\s*[[{"]/.test(text)) return null;
  try {
    return visible(JSON.stringify(JSON.parse(text), null, 2));
  } catch {
    return null;
  }
}

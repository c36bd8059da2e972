// The console: who is logged in sees one page of it at a time.
import { html, render, useEffect, useRef, useState } from './vendor/preact.js';
import { session, stream } from './api.js';
import { visible } from './format.js';
import { lately } from './live.js';
import { Connection } from './pages/connection.js';
import { Connections } from './pages/connections.js';
import { Findings, Refusals } from './pages/findings.js';
import { Login } from './pages/login.js';
import { Messages } from './pages/messages.js';
import { Lists, Policy } from './pages/policy.js';
import { Requests } from './pages/requests.js';
import { State } from './pages/state.js';
import { Throughput } from './pages/throughput.js';
import { place } from './place.js';
import { useStore } from './store.js';

const pages = [
  { key: '1', name: 'findings', title: 'Findings', of: Findings, count: () => lately.fresh.findings },
  { key: '2', name: 'connections', title: 'Connections', of: Connections },
  { key: '3', name: 'messages', title: 'Messages', of: Messages, has: 'own stream' },
  { key: '4', name: 'requests', title: 'Requests', of: Requests, has: 'own stream' },
  { key: '5', name: 'refusals', title: 'Refused CA', of: Refusals, count: () => lately.fresh.refusals },
  { key: '6', name: 'policy', title: 'Policy', of: Policy },
  { key: '7', name: 'lists', title: 'Lists', of: Lists },
  { key: '8', name: 'throughput', title: 'Throughput', of: Throughput },
  { key: '9', name: 'state', title: 'State', of: State },
];

const keys = [
  ['1 … 9', 'a page'], ['↑ ↓, PageUp, PageDown, Home, End', 'move in a list'], ['Enter', 'open a row'], ['Esc', 'close it'],
  ['c u h a r w', 'in a list: only this client, user, host, action, rule, WebSocket'], ['Alt + click on a cell', 'the same'],
  ['s', 'sort connections again'], ['/', 'look for text in messages'], ['e', 'to the end of messages'], ['?', 'this help'],
];

/** What is seen where no page has asked for more. */
const watchRows = (event, topic) => lately.take(event, topic);
const ROWS = { topics: ['findings', 'refusals', 'reloads'] };

function Help({ onClose }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  return html`<dialog ref=${dialog} aria-labelledby="help-title" onClose=${onClose}><h2 id="help-title">Keys</h2>
    <dl class="keys">${keys.map(([key, does]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`)}</dl>
    <form method="dialog"><button autofocus>Close</button></form></dialog>`;
}

const themes = { system: 'system', light: 'light', dark: 'dark' };

function useTheme() {
  const [theme, setTheme] = useState(() => localStorage.getItem('wsbump-theme') ?? 'system');
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem('wsbump-theme', theme);
  }, [theme]);
  return [theme, setTheme];
}

function Console() {
  useStore(place);
  useStore(lately);
  const [helps, setHelps] = useState(false);
  const [theme, setTheme] = useTheme();
  const page = pages.find(({ name }) => name === place.page) ?? pages[1];
  const Shown = page.name === 'connections' && place.id != null ? Connection : page.of;

  useEffect(() => {
    lately.load().catch(() => {});
    return () => stream.stop();
  }, []);
  useEffect(() => {
    if (!page.has) stream.want(ROWS, watchRows);
    // What came while a page had a stream of its own.
    if (!page.has) lately.load().catch(() => {});
    document.title = `${page.title} – wsbump`;
    // Where the pages have no room side by side.
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [page.name]);
  useEffect(() => {
    const key = (event) => {
      if (event.target.matches('input, select, textarea') || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      const to = pages.find((it) => it.key === event.key);
      if (to) place.go(to.name);
      else if (event.key === '?') setHelps(true);
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);

  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector('main h1')?.focus(); }}>Skip to the page</a>
    <header>
      <strong class="name">wsbump</strong>
      <nav aria-label="Pages">${pages.map(({ key, name, title, count }) => {
        const fresh = count?.() ?? 0;
        return html`<a key=${name} href=${place.link(name)} aria-current=${name === page.name ? 'page' : undefined} title=${`Key ${key}`}>${title}${fresh > 0 && html` <span class="badge">${fresh > 99 ? '99+' : fresh}<span class="unseen"> new</span></span>`}</a>`;
      })}</nav>
      <span class="who quiet" title=${`${visible(session.by)} may: ${session.rights.join(', ')}`}>${visible(session.by)}</span>
      <label class="theme"><span class="unseen">Colours</span><select value=${theme} onChange=${(event) => setTheme(event.target.value)}>${Object.entries(themes).map(([name, title]) => html`<option key=${name} value=${name}>${title}</option>`)}</select></label>
      <button aria-label="Keys" onClick=${() => setHelps(true)}>?</button>
      <button onClick=${() => session.end().catch(() => session.out())}>Log out</button>
    </header>
    <main id="main"><${Shown} key=${`${page.name}${place.id ?? ''}`} /></main>
    ${helps && html`<${Help} onClose=${() => setHelps(false)} />`}`;
}

function App({ problem }) {
  useStore(session);
  if (session.state === 'unknown') return html`<main class="login"><p role="status">Connecting…</p></main>`;
  return session.state === 'in' ? html`<${Console} />` : html`<${Login} problem=${problem} />`;
}

/** A code in the fragment, which no server and no log sees, is spent at once and taken out of the history. */
async function enter() {
  const code = /^#code=([\w-]+)$/.exec(location.hash)?.[1];
  if (code) {
    history.replaceState(null, '', location.pathname);
    try {
      await session.begin({ secret: code });
      return '';
    } catch (error) {
      await session.begin().catch(() => session.take({}));
      return session.state === 'in' ? '' : error.message;
    }
  }
  await session.begin().catch(() => session.take({}));
  return '';
}

const problem = await enter();
render(html`<${App} problem=${problem} />`, document.getElementById('console'));

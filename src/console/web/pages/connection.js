// One connection.
import { html, useEffect, useState } from '../vendor/preact.js';
import { get, post, session } from '../api.js';
import { bytes, number, seconds, visible } from '../format.js';
import { open } from '../live.js';
import { Ask, bareHost, Facts, Head, Lines } from '../parts.js';
import { place } from '../place.js';
import { useStore } from '../store.js';

const both = (count, written) => count && `↑ ${written(count.to_origin ?? 0)}  ↓ ${written(count.to_client ?? 0)}`;
const only = (name, value) => value && html`<span>${visible(value)} <a class="only" href=${place.link('connections', null, { [name]: value })}>only this</a></span>`;

function WebSocket({ it, connection, onClose }) {
  return html`<section class="card">
    <h2>WebSocket ${it.id}</h2>
    <p class="url">${visible(it.url)}</p>
    <${Facts} facts=${[
      ['Subprotocol', it.subprotocol && visible(it.subprotocol)],
      ['Compressed', it.compressed ? 'yes' : 'no'],
      ['Carried by', it.version],
      ['Open for', seconds(it.seconds)],
      ['Messages', both(it.messages, number)],
      ['Frames', both(it.frames, number)],
      ['Pings and pongs', both(it.pings, number)],
      ['Bytes', both(it.bytes, bytes)],
      ['Last frame', `↑ ${seconds(it.quiet_seconds.to_origin) || 'none'}  ↓ ${seconds(it.quiet_seconds.to_client) || 'none'}`],
      ['Changed by rules', both(it.changed, number)],
      ['Dropped by rules', both(it.dropped, number)],
    ]} />
    <div class="actions">
      ${session.may('content') && html`<a class="button" href=${place.link('messages', null, { websocket: it.id, connection })}>Watch its messages</a>`}
      ${session.may('operate') && html`<button class="danger" onClick=${() => onClose(it.id)}>Close it…</button>`}
    </div>
  </section>`;
}

/** A rule and its list, for a configuration. */
const rule = (host) => `[[list]]
name = "these"
file = "these"       # this line stands in it: ${host}
format = "domains"

[[policy.rule]]
name = "these"
action = "splice"    # or "deny"
hosts = ["these"]`;

export function Connection() {
  useStore(open);
  const { id } = place;
  const [asks, setAsks] = useState(null);
  const [found, setFound] = useState(null);
  const [over, setOver] = useState(false);

  useEffect(() => {
    let timer = 0;
    let is = true;
    const look = async () => {
      try {
        const one = await get(`connections/${id}`);
        if (is) setFound(one);
      } catch (error) {
        if (is && error.status === 404) setOver(true);
      }
      if (is) timer = setTimeout(look, 1000);
    };
    look();
    return () => {
      is = false;
      clearTimeout(timer);
    };
  }, [id]);

  const back = html`<a href=${place.link('connections')}>All connections</a>`;
  if (!found) return html`<${Head} title=${`Connection ${id}`}>${back}<//><p>${over ? 'It is not open any more. What it did is in the access log, by this number.' : ''}</p>`;
  return html`
    <${Head} title=${`Connection ${id}`}>
      ${back}
      <p class="quiet" role="status">${over ? 'It has ended; this is what was known of it last.' : 'open'}</p>
    <//>
    <div class="scroll" tabindex="0" role="region" aria-label="About this connection">
      <section class="card">
        <${Facts} facts=${[
          ['Client', only('client', found.client)],
          ['User', only('user', found.user)],
          ['Host', found.host && html`<span>${visible(found.host)} <a class="only" href=${place.link('connections', null, { host: bareHost(found.host) })}>only this</a></span>`],
          ['Server name (SNI)', found.sni && visible(found.sni)],
          ['Action', only('action', found.action)],
          ['Rule', only('rule', found.rule)],
          ['Protocol', found.protocol],
          ['TLS', found.tls],
          ['Listener', found.listener],
          ['Inside of', found.inside && html`<a href=${place.link('connections', found.inside)}>connection ${found.inside}</a>`],
          ['Open for', seconds(found.seconds)],
          ['Requests', number(found.requests)],
          ['Bytes beside WebSockets', both(found.bytes, bytes)],
        ]} />
        <div class="actions">
          <a class="button" href=${place.link('policy', null, { target: found.host ?? '', client: found.client ?? '' })}>Explain this</a>
          ${session.may('operate') && !over && html`<button class="danger" onClick=${() => setAsks({})}>Close it…</button>`}
        </div>
      </section>
      ${found.host && html`<details class="card"><summary>Treat this host otherwise</summary>
        <p>These lines go into the configuration, above rules that hold for it too; “Explain this” then says what becomes of it.</p>
        <${Lines} text=${rule(bareHost(found.host))} /></details>`}
      ${found.websockets.map((it) => html`<${WebSocket} key=${it.id} it=${it} connection=${id} onClose=${(websocket) => setAsks({ websocket })} />`)}
    </div>
    ${asks && html`<${Ask} title=${asks.websocket ? `Close WebSocket ${asks.websocket}?` : `Close connection ${id}?`}
      text="WebSockets get a Close; everything else ends at once. The audit log says who did it."
      field=${{ title: 'Why', least: 0 }} action="Close"
      onDone=${(reason) => post(`connections/${id}/close`, { ...asks, ...(reason && { reason }) })}
      onClose=${() => setAsks(null)} />`}`;
}

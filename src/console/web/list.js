// A table of any number of rows of one height, of which only those are drawn that are seen.
import { html, useEffect, useLayoutEffect, useRef, useState } from './vendor/preact.js';

const ROW = 28;
/** Rows that are drawn beyond what is seen, so that a turn of the wheel shows no gap. */
const BEYOND = 8;

/** Whether somebody marks text: nothing may move away under it. */
export const isMarking = () => getSelection()?.isCollapsed === false;

/**
 * @param label     what the table is, for those who hear it
 * @param columns   [{ key, title, width, cell(row), sort?, numeric?, filter?(row) }]
 * @param rows      how many there are, and `row(index)`
 * @param id        the name of a row, which stays
 * @param follow    stay at the end while rows come
 * @param onAway    told true when the reader has left the end or marks text, false when they are back
 * @param onTop     told whether the first row is seen
 */
export function List({ label, columns, count, row, id, selected, onSelect, onFilter, sort, onSort, follow, onAway, onTop, rowClass, empty }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const place = useRef(0);

  useLayoutEffect(() => {
    const element = box.current;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (follow) box.current.scrollTop = box.current.scrollHeight;
  }, [follow, count]);

  let active = -1;
  if (selected != null) {
    // It is nearly always where it was.
    if (place.current < count && id(row(place.current)) === selected) active = place.current;
    else for (let at = 0; at < count && active < 0; at += 1) if (id(row(at)) === selected) active = at;
    if (active >= 0) place.current = active;
  }

  const scrolled = () => {
    const { scrollTop: top, clientHeight: height, scrollHeight } = box.current;
    setView({ top, height });
    onAway?.(top + height < scrollHeight - ROW || isMarking());
    onTop?.(top < ROW);
  };

  useEffect(() => {
    if (!onAway) return undefined;
    const marked = () => {
      if (isMarking() && box.current?.contains(getSelection().anchorNode)) onAway(true);
    };
    document.addEventListener('selectionchange', marked);
    return () => document.removeEventListener('selectionchange', marked);
  }, []);

  const show = (at) => {
    const { scrollTop, clientHeight } = box.current;
    const top = at * ROW;
    const head = ROW;
    if (top < scrollTop) box.current.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight - head) box.current.scrollTop = top + ROW + head - clientHeight;
  };

  const go = (at) => {
    if (!count) return;
    const to = Math.max(0, Math.min(count - 1, at));
    onSelect?.(row(to), false);
    show(to);
  };

  const key = (event) => {
    if (event.target !== box.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(view.height / ROW) - 2);
    const moves = { ArrowDown: active + 1, ArrowUp: active < 0 ? count - 1 : active - 1, PageDown: active + page,
      PageUp: active - page, Home: 0, End: count - 1 };
    const mayFilter = columns.find((column) => column.filter && column.key[0] === event.key);
    if (event.key in moves) go(moves[event.key]);
    else if (event.key === 'Enter' && active >= 0) onSelect?.(row(active), true);
    else if (mayFilter && active >= 0) onFilter?.(mayFilter.key, mayFilter.filter(row(active)));
    else return;
    event.preventDefault();
  };

  const first = Math.max(0, Math.floor(view.top / ROW) - BEYOND);
  const last = Math.min(count, Math.ceil((view.top + view.height) / ROW) + BEYOND);
  const drawn = [];
  for (let at = first; at < last; at += 1) drawn.push(at);
  const template = columns.map((column) => column.width).join(' ');
  const name = (at) => `${label.replace(/\W/g, '-')}-${at}`;

  return html`
    <div class="list" role="grid" tabindex="0" ref=${box} aria-label=${label} aria-rowcount=${count + 1}
      aria-colcount=${columns.length} aria-readonly="true"
      aria-activedescendant=${active >= first && active < last ? name(active) : undefined}
      onScroll=${scrolled} onKeyDown=${key}>
      <div class="row head" role="row" aria-rowindex="1" style=${{ gridTemplateColumns: template }}>
        ${columns.map((column) => {
          const sorted = sort?.key === column.key;
          return html`<div role="columnheader" key=${column.key} class=${column.numeric ? 'number' : ''}
            aria-sort=${sorted ? (sort.down ? 'descending' : 'ascending') : undefined}>
            ${column.sort && onSort
              ? html`<button class="plain" onClick=${() => onSort({ key: column.key, down: sorted ? !sort.down : !!column.numeric })}>
                  ${column.title}${sorted ? (sort.down ? ' ▾' : ' ▴') : ''}</button>`
              : column.title}
          </div>`;
        })}
      </div>
      <div class="rows" role="rowgroup" style=${{ height: `${count * ROW}px` }}>
        ${drawn.map((at) => {
          const it = row(at);
          return html`<div class=${`row ${at === active ? 'active' : ''} ${rowClass?.(it) ?? ''}`} role="row" id=${name(at)}
            key=${id(it)} aria-rowindex=${at + 2} aria-selected=${at === active}
            style=${{ gridTemplateColumns: template, transform: `translateY(${at * ROW}px)` }}
            onClick=${() => {
              // Who marks text to copy it wants nothing else.
              if (String(getSelection())) return;
              onSelect?.(it, true);
            }}>
            ${it.type === 'gap' ? html`<div role="gridcell" class="whole" aria-colspan=${columns.length}>${it.text}</div>` : columns.map((column) => {
              const shown = column.cell(it);
              // What has no room is read by pointing at it.
              const hint = column.hint?.(it) ?? (typeof shown === 'string' ? shown : undefined);
              return html`<div role="gridcell" key=${column.key} class=${column.numeric ? 'number' : ''} title=${hint}
              onClick=${(event) => {
                if (!event.altKey || !column.filter) return;
                event.stopPropagation();
                onFilter?.(column.key, column.filter(it));
              }}>${shown}</div>`;
            })}
          </div>`;
        })}
      </div>
      ${count === 0 && html`<p class="empty">${empty}</p>`}
    </div>`;
}

/** Follows the end of a list until the reader leaves it; says how many have come since. */
export function useFollow(count) {
  const [away, setAway] = useState(false);
  const seen = useRef(count);
  useEffect(() => {
    if (!away) seen.current = count;
  });
  const toEnd = () => {
    getSelection()?.removeAllRanges();
    setAway(false);
    document.querySelector('.list').scrollTop = 1e9;
  };
  return { follow: !away, setAway, toEnd, fresh: away ? Math.max(0, count - seen.current) : 0 };
}

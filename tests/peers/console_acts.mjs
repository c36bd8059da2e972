// What somebody does in front of the console, in Chromium. Standard output says how far it has come.
//
// --url is the line that the proxy prints, with the code in it, or with --secret the console's address.
// --mode head     looks at the head and the list of connections in windows of several widths
// --mode paste    copies what is there to be pasted
// --mode stopped  shows only what was stopped
// --mode still    sorts connections while they change
// --mode marked   marks text while more comes
// --mode lost     is told what came too fast for it
// --mode two      asks another, who has the token --other, to see what is not masked
import { check, main, options, say } from './common.mjs';
import { another, byText, go, has, inFront, logIn, rows, until } from './console_page.mjs';

const origin = new URL(options.url).origin;
const click = async (page, selector, word) => (await byText(page, selector, word)).click();
const streamIsOpen = (page) => until(page, 'the stream', () => document.querySelector('.stream.open'));
const count = (page, wanted) => until(page, `${wanted} rows`, (number) => document.querySelectorAll('.rows .row:not(.gap)').length === number, wanted);

async function head(page) {
  await until(page, 'the list', () => document.querySelector('.rows .row'));
  // As many as there may ever be.
  await page.evaluate(() => {
    for (const at of [0, 4]) {
      const badge = document.createElement('span');
      badge.className = 'badge';
      badge.textContent = '99+';
      document.querySelectorAll('header nav a')[at].append(badge);
    }
  });
  const found = {};
  for (const width of [1600, 1280, 1024, 390]) {
    await page.setViewport({ width, height: 800 });
    found[width] = await page.evaluate(() => {
      const links = [...document.querySelectorAll('header nav a')].map((it) => it.getBoundingClientRect());
      const controls = [...document.querySelectorAll('header select, header button, header .name')].map((it) => it.getBoundingClientRect());
      const rowsOf = (all) => new Set(all.map(({ top, height }) => Math.round((top + height / 2) / 8))).size;
      const list = document.querySelector('.list');
      return {
        links: rowsOf(links), controls: rowsOf(controls), height: document.querySelector('header').offsetHeight,
        beyond: controls.filter(({ right }) => right > innerWidth).length,
        pageScrolls: document.documentElement.scrollWidth > innerWidth, listScrolls: list.scrollWidth > list.clientWidth,
      };
    });
  }
  // The page that one is on is seen among the others, and what has no room is read by pointing at it.
  await go(page, 'state', 'State');
  await until(page, 'the link of this page', () => {
    const { left, right } = document.querySelector('nav [aria-current]').getBoundingClientRect();
    return left >= 0 && right <= innerWidth;
  });
  await go(page, 'connections', 'Connections');
  await until(page, 'the list', () => document.querySelector('.rows .row'));
  const [host, hint] = await page.evaluate(() => {
    const cell = document.querySelector('.rows .row').children[3];
    return [cell.innerText, cell.title];
  });
  return { found, host, hint };
}

async function paste(page) {
  await page.browser().defaultBrowserContext().overridePermissions(origin, ['clipboard-read', 'clipboard-write', 'clipboard-sanitized-write']);
  const copied = async (selector, word) => {
    await page.evaluate(() => navigator.clipboard.writeText('nothing'));
    await click(page, selector, word);
    await until(page, 'the word that it is copied', () => [...document.querySelectorAll('.copy [role=status]')].some((it) => it.innerText === 'Copied'));
    return page.evaluate(() => navigator.clipboard.readText());
  };
  await has(page, 'websocket');
  await page.focus('.list');
  await page.keyboard.press('Home');
  await page.keyboard.press('Enter');
  await until(page, 'one connection', () => /^Connection \d/.test(document.querySelector('h1').innerText));
  await until(page, 'its host', () => document.querySelector('summary'));
  await click(page, 'summary', 'Treat');
  const lines = await copied('details button', 'Copy');
  await go(page, 'state', 'State');
  await until(page, 'the CA', () => document.querySelector('.lines'));
  const ca = await copied('.lines button', 'Copy');
  await go(page, 'requests', 'Requests');
  await page.click('.conditions input[type=checkbox]');
  await until(page, 'the mask', () => [...document.querySelectorAll('.page-head button')].some((it) => it.innerText.includes('Unmask')));
  await streamIsOpen(page);
  say({ at: 'requests' });
  await has(page, '/echo');
  await until(page, 'its end', () => [...document.querySelectorAll('.rows .row')].some((row) => row.innerText.includes('/echo') && row.innerText.includes('200')));
  await click(page, '.rows .row', '/echo');
  await until(page, 'its body', () => document.querySelectorAll('.detail .content').length);
  return { lines, ca, curl: await copied('.detail button', 'curl') };
}

async function stopped(page) {
  await go(page, 'findings', 'Findings');
  await count(page, 3);
  const all = await rows(page);
  await page.click('.conditions input[type=checkbox]');
  await count(page, 1);
  const only = await rows(page);
  await click(page, '.rows .row', 'dropped');
  await until(page, 'the finding', () => document.querySelector('.detail'));
  const detail = await page.evaluate(() => document.querySelector('.detail').innerText);
  await page.click('.detail .close');
  await page.click('.conditions input[type=checkbox]');
  await count(page, 3);

  await go(page, 'requests', 'Requests');
  await streamIsOpen(page);
  say({ at: 'requests' });
  await has(page, '/status/200');
  await has(page, '/status/500');
  await page.evaluate(() => [...document.querySelectorAll('.conditions label')].find((it) => it.innerText.includes('failed')).click());
  await count(page, 1);
  return { all, only, detail, failed: await rows(page) };
}

async function still(page) {
  const numbers = async () => (await rows(page)).map((row) => row.split('\n')[0]);
  await until(page, 'three connections', () => document.querySelectorAll('.rows .row').length === 3);
  await click(page, '.row.head button', 'Bytes');
  const [big, middle, small] = await numbers();
  // What is drawn anew, or moved, is seen.
  await page.evaluate(() => {
    window.moved = [];
    const watch = (changes) => {
      for (const { type, target, addedNodes, removedNodes } of changes) {
        if (type === 'attributes' || [...addedNodes, ...removedNodes].some((it) => it.classList?.contains('row'))) window.moved.push(`${type} of ${target.className}`);
      }
    };
    const all = document.querySelector('.rows');
    const observer = new MutationObserver(watch);
    observer.observe(all, { childList: true });
    for (const row of all.children) observer.observe(row, { attributes: true, attributeFilter: ['style', 'aria-rowindex'] });
  });
  say({ at: 'sorted' });
  const bytesOf = (number) => page.evaluate((id) => [...document.querySelectorAll('.rows .row')].find((row) => row.innerText.split('\n')[0] === id).children[10].innerText, number);
  await until(page, 'the least to be the most', (id) => /KB/.test([...document.querySelectorAll('.rows .row')].find((row) => row.innerText.split('\n')[0] === id).children[10].innerText), small);
  const grown = [await bytesOf(small), await numbers()];
  say({ at: 'grown' });
  await until(page, 'word of the new one', () => document.querySelector('button.fresh')?.innerText.startsWith('1 new'));
  say({ at: 'more' });
  await until(page, 'word of the end', () => document.querySelector('button.fresh')?.innerText.startsWith('1 new, 1 ended'));
  const frozen = [await numbers(), await page.evaluate(() => document.querySelector('.row.ended')?.innerText.split('\n')[0]), await page.evaluate(() => window.moved)];
  await page.click('button.fresh');
  await until(page, 'the new order', (id) => [...document.querySelectorAll('.rows .row')].some((row) => row.innerText.split('\n')[0] === id && row.getAttribute('aria-rowindex') === '2'), small);
  return { began: [big, middle, small], grown, frozen, sorted: await numbers() };
}

/** Marks what stands in an element, with the mouse as people do. */
async function mark(page, element) {
  const box = await element.boundingBox();
  const y = box.y + Math.min(box.height / 2, 12);
  await page.mouse.move(box.x + 2, y);
  await page.mouse.down();
  await page.mouse.move(box.x + 60, y, { steps: 5 });
  await page.mouse.move(box.x + Math.min(box.width - 4, 110), y, { steps: 5 });
  await page.mouse.up();
  const marked = await page.evaluate(() => String(getSelection()));
  check(marked.length > 3, `nothing is marked: ${marked}`);
  return marked;
}

async function marked(page) {
  const is = async (wanted) => {
    const now = await page.evaluate(() => String(getSelection()));
    return now === wanted || say({ now, wanted });
  };
  await go(page, 'messages', 'Messages');
  await streamIsOpen(page);
  say({ at: 'watching' });
  await has(page, 'line 59');
  const cell = await page.evaluateHandle(() => [...document.querySelectorAll('.rows .row')].filter((row) => /line \d/.test(row.innerText)).at(-1).lastElementChild.firstElementChild);
  const inList = await mark(page, cell);
  say({ at: 'marked' });
  await until(page, 'what is new', () => parseInt(document.querySelector('.newer')?.innerText ?? '', 10) >= 60);
  check(await is(inList), 'what is marked in the list is lost');
  check(!await page.$('.detail'), 'marking opens a message');
  check(await page.evaluate((it) => it.isConnected, cell), 'what is marked has gone');
  await page.click('.newer');
  await has(page, 'line 119');
  check(await page.evaluate(() => { const list = document.querySelector('.list'); return list.scrollTop + list.clientHeight >= list.scrollHeight - 30; }), 'the end is not reached');

  await click(page, '.rows .row', 'line 119');
  const shown = await page.waitForSelector('.detail .content pre');
  const inDetail = await mark(page, shown);
  const before = await page.evaluate(() => Number(document.querySelector('.list').getAttribute('aria-rowcount')));
  say({ at: 'open' });
  await until(page, 'more of them', (number) => Number(document.querySelector('.list').getAttribute('aria-rowcount')) >= number + 60, before);
  check(await is(inDetail), 'what is marked in a message is lost');

  await page.evaluate(() => getSelection().removeAllRanges());
  await go(page, 'connections', 'Connections');
  await has(page, 'websocket');
  const host = await page.evaluateHandle(() => [...document.querySelectorAll('.rows .row')].find((row) => row.innerText.includes('websocket')).children[3]);
  const inRow = await mark(page, host);
  const messages = await page.evaluate((it) => it.parentElement.children[9].innerText, host);
  say({ at: 'connections' });
  await until(page, 'other numbers', (it, old) => it.parentElement.children[9].innerText !== old, host, messages);
  await until(page, 'word of the new one', () => document.querySelector('button.fresh')?.innerText.startsWith('1 new'));
  check(await is(inRow), 'what is marked in a row is lost');
  return { inList, inDetail, inRow };
}

async function lost(page) {
  await go(page, 'messages', 'Messages');
  await streamIsOpen(page);
  say({ at: 'watching' });
  await has(page, 'they came faster than they could be shown');
  const told = (await rows(page)).find((row) => row.includes('faster'));
  await has(page, 'the end');
  return { told, open: !!await page.$('.stream.open') };
}

/** Answers a dialog that wants a reason; what is too short is none. */
async function reason(page, text) {
  await until(page, 'the dialog', () => document.querySelector('dialog[open] input'));
  const disabled = () => page.evaluate(() => document.querySelector('dialog[open] .danger').disabled);
  check(await disabled(), 'it goes without a reason');
  await page.type('dialog[open] input', '  x ');
  check(await disabled(), 'two spaces and a letter are a reason');
  await page.evaluate(() => { document.querySelector('dialog[open] input').select(); });
  await page.keyboard.type(text);
  await page.click('dialog[open] .danger');
  await until(page, 'the end of the dialog', () => !document.querySelector('dialog[open]'));
}

async function two(ada) {
  await logIn(ada, options.secret);
  const table = (page, word) => until(page, word, (text) => [...document.querySelectorAll('.card tbody tr')].some((row) => row.innerText.includes(text)), word);
  const unmask = async () => {
    await go(ada, 'messages', 'Messages');
    await streamIsOpen(ada);
    await click(ada, '.page-head button', 'Unmask');
    await reason(ada, 'ticket 4711');
  };
  // Alone she sees nothing.
  await unmask();
  await until(ada, 'the refusal', () => document.querySelector('.stream.failed'));
  const refused = await ada.evaluate(() => document.querySelector('.stream.failed').innerText);

  await go(ada, 'state', 'State');
  await until(ada, 'the section', () => document.querySelector('.card .actions button'));
  await click(ada, '.card button', 'Ask to see content');
  await reason(ada, 'ticket 4711: Slack is silent');
  await table(ada, 'waits for another person');
  const own = await ada.evaluate(() => [...document.querySelectorAll('.card tbody button')].map((it) => it.innerText));

  const ben = await another(ada, options.other);
  await go(ben, 'state', 'State');
  await table(ben, 'ticket 4711: Slack is silent');
  await click(ben, '.card tbody button', 'Let them');
  await table(ben, 'let by ben');

  await ada.bringToFront();
  await table(ada, 'let by ben');
  await unmask();
  await until(ada, 'the word that secrets are shown', () => document.querySelector('.unmasked')?.innerText.includes('ticket 4711'));
  await streamIsOpen(ada);
  say({ at: 'unmasked' });
  await has(ada, 'hunter2');

  await ben.bringToFront();
  await click(ben, '.card tbody button', 'End it');
  await table(ben, 'ended');
  await ada.bringToFront();
  await until(ada, 'the end of the stream', () => document.querySelector('.stream.failed'));
  return { refused, own };
}

const modes = { head, paste, stopped, still, marked, lost, two };

main(() => inFront(modes[options.mode]));

// Somebody in front of the console, in --kind chromium or firefox. Standard output says how far it has come.
//
// --url is the line that the proxy prints, with the code in it, or with --secret the console's address.
// --mode watch    watches what passes of the one WebSocket that is open, says "watching", and looks for "needle"
// --mode many     looks at a list of thousands of connections
// --mode viewer   has no right to content
// --mode keep     reads a binary message, loses its stream and goes on, and keeps what it saw in the folder --folder
// --screenshot    is a folder for pictures.
import { readdirSync } from 'node:fs';
import { check, main, options, say } from './common.mjs';
import { byText, colours, go, inFront, look, shoot, text, until } from './console_page.mjs';

async function watch(page) {
  await until(page, 'the WebSocket', () => [...document.querySelectorAll('.rows .row')].some((row) => row.innerText.includes('websocket')));
  await shoot(page, 'connections');
  // By the keyboard alone: to the list, to its row, into it.
  await page.focus('.list');
  await page.keyboard.press('Home');
  await until(page, 'the list that says which row is chosen', () => document.querySelector('.list').getAttribute('aria-activedescendant'));
  await page.keyboard.press('Enter');
  await until(page, 'one connection', () => /^Connection \d/.test(document.querySelector('h1').innerText));
  await until(page, 'its WebSocket', () => document.querySelector('.card .url')?.innerText.startsWith('wss://'));
  if (options.kind === 'chromium') await look(page, 'connection');
  await (await byText(page, 'a.button', 'Watch')).click();
  await until(page, 'the stream', () => document.querySelector('.stream.open'));
  say({ at: 'watching' });

  await until(page, 'needle', () => [...document.querySelectorAll('.rows .row')].some((row) => row.innerText.includes('needle')));
  const seen = await text(page);
  check(!seen.includes('hunter2'), 'a secret is shown');
  check(!await page.$('.rows script, .rows img, .rows b.attack'), 'markup of a message is part of the page');
  await (await byText(page, '.rows .row', 'needle')).click();
  await until(page, 'the message', () => document.querySelector('.detail .content pre')?.innerText.includes('"needle"'));
  const pretty = await page.evaluate(() => document.querySelector('.detail .content pre').innerText);
  await shoot(page, 'messages');
  if (options.kind === 'chromium') await look(page, 'messages');
  await (await byText(page, '.kinds button', 'Hex')).click();
  await until(page, 'the dump', () => document.querySelector('.hex pre')?.innerText.startsWith('000000  '));
  const dump = await page.evaluate(() => document.querySelector('.hex pre').innerText);

  // What is looked for is asked of the proxy, and what is there already is filtered too.
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  await page.keyboard.type('nothing like it');
  await page.keyboard.press('Enter');
  await until(page, 'the filter', () => ![...document.querySelectorAll('.rows .row')].some((row) => row.innerText.includes('needle')));
  const address = page.url();
  check(!address.includes('nothing'), 'what is looked for is in the address');

  await go(page, 'requests', 'Requests');
  await until(page, 'the stream', () => document.querySelector('.stream.open'));
  await page.click('.conditions input[type=checkbox]');
  // The page tells of the stream that it has asked for last from here on.
  await until(page, 'the mask', () => [...document.querySelectorAll('.page-head button')].some((it) => it.innerText.includes('Unmask')));
  await until(page, 'the stream', () => document.querySelector('.stream.open'));
  say({ at: 'requests' });
  await until(page, 'a request with its heads', () => [...document.querySelectorAll('.rows .row')].some((row) => row.innerText.includes('/status/200?') && row.innerText.includes('200')));
  await (await byText(page, '.rows .row', '/status/200?')).click();
  await until(page, 'the fields', () => document.querySelectorAll('.fields').length === 2);
  const request = await page.evaluate(() => document.querySelector('.detail').innerText);
  await shoot(page, 'requests');
  if (options.kind === 'chromium') await look(page, 'requests');

  await go(page, 'policy', 'Policy');
  await page.type('input[name=target]', 'chat.example');
  await page.keyboard.press('Enter');
  await until(page, 'the answer', () => document.querySelector('.card .card .verdict'));
  const verdict = await page.evaluate(() => document.querySelector('.card .card .verdict').innerText);
  await shoot(page, 'policy');
  if (options.kind === 'chromium') {
    await look(page, 'policy');
    for (const [name, title] of [['findings', 'Findings'], ['refusals', 'Clients'], ['lists', 'Lists'], ['throughput', 'Throughput'], ['state', 'State'], ['connections', 'Connections']]) {
      await go(page, name, title);
      await page.waitForNetworkIdle({ idleTime: 200, concurrency: 4 });
      for (const scheme of ['light', 'dark']) {
        await colours(page, scheme);
        await look(page, `${name}, ${scheme}`);
        await shoot(page, `${name}-${scheme}`);
      }
    }
  }
  await go(page, 'state', 'State');
  await (await byText(page, 'header button', 'Log out')).click();
  await until(page, 'the login', () => document.querySelector('input[name=secret]'));
  if (options.kind === 'chromium') await look(page, 'login');
  return { pretty, dump, request, verdict, address };
}

async function many(page) {
  await until(page, 'all of them', (least) => Number(document.querySelector('.list')?.getAttribute('aria-rowcount')) > least, Number(options.target));
  const drawn = () => page.evaluate(() => document.querySelectorAll('.rows .row').length);
  const first = await drawn();
  await page.focus('.list');
  await page.keyboard.press('End');
  await until(page, 'the last row', () => {
    const list = document.querySelector('.list');
    return [...document.querySelectorAll('.rows .row')].some((row) => row.getAttribute('aria-rowindex') === list.getAttribute('aria-rowcount'));
  });
  return { first, last: await drawn(), count: await page.evaluate(() => Number(document.querySelector('.list').getAttribute('aria-rowcount'))) };
}

async function viewer(page) {
  await until(page, 'the login', () => document.querySelector('input[name=secret]'));
  await page.type('input[name=secret]', options.secret);
  await page.keyboard.press('Enter');
  await until(page, 'the list', () => document.querySelector('.list'));
  await go(page, 'messages', 'Messages');
  const messages = await text(page);
  await go(page, 'requests', 'Requests');
  const requests = await text(page);
  await go(page, 'state', 'State');
  await until(page, 'the state', () => document.querySelector('.facts'));
  return { messages, requests, state: await text(page) };
}

async function keep(page) {
  const session = await page.createCDPSession();
  await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: options.folder });
  await until(page, 'the WebSocket', () => [...document.querySelectorAll('.rows .row')].some((row) => row.innerText.includes('websocket')));
  await go(page, 'messages', 'Messages');
  await until(page, 'the stream', () => document.querySelector('.stream.open'));
  say({ at: 'watching' });
  // A message, and its echo: what comes in between would be kept, and moves what is looked at.
  const has = (wanted) => until(page, wanted, (word) => [...document.querySelectorAll('.rows .row')].filter((row) => row.innerText.includes(word)).length === 2, wanted);
  await has('first');
  // What breaks the stream off is not seen by who watches: it goes on, and nothing is missing.
  say({ at: 'first' });
  await until(page, 'the break', () => document.querySelector('.stream.failed'));
  say({ at: 'broken' });
  await has('meanwhile');
  await until(page, 'the stream again', () => document.querySelector('.stream.open'));
  const rows = await page.evaluate(() => [...document.querySelectorAll('.rows .row')].map((row) => row.innerText));
  say({ at: 'resumed' });
  await has('binary');
  await (await byText(page, '.rows .row', 'binary')).click();
  await until(page, 'the decoded message', () => document.querySelector('.detail .content pre')?.innerText.includes('"compact": true'));
  const kinds = await page.evaluate(() => [...document.querySelectorAll('.kinds button')].map((it) => `${it.innerText}${it.getAttribute('aria-pressed') === 'true' ? '*' : ''}`));
  for (const [title, end] of [['Save HAR', '.har'], ['Save lines', '.jsonl']]) {
    await (await byText(page, '.keep button', title)).click();
    for (let tries = 0; !readdirSync(options.folder).some((name) => name.endsWith(end)); tries += 1) {
      check(tries < 300, `${title} keeps nothing`);
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
  }
  await page.keyboard.press('Escape');

  // The end is followed until the reader leaves it, and what has come since is counted.
  say({ at: 'many' });
  await has('line 79');
  const atEnd = () => page.evaluate(() => { const list = document.querySelector('.list'); return list.scrollTop + list.clientHeight >= list.scrollHeight - 30; });
  check(await atEnd(), 'the end is not followed');
  await page.evaluate(() => { document.querySelector('.list').scrollTop = 100; });
  await until(page, 'the way back', () => document.querySelector('.newer'));
  say({ at: 'away' });
  await until(page, 'what is new', () => /^[1-9]\d* new/.test(document.querySelector('.newer')?.innerText ?? ''));
  check(await page.evaluate(() => document.querySelector('.list').scrollTop) === 100, 'what is read has moved');
  await page.click('.newer');
  await has('the last');
  check(await atEnd(), 'the end is not reached');

  // A cell adds itself to what the list is narrowed to; a click without the key does not, so that text can be copied.
  const host = await page.evaluateHandle(() => [...document.querySelectorAll('.rows .row')].at(-1).children[2]);
  await page.keyboard.down('Alt');
  await host.click();
  await page.keyboard.up('Alt');
  await until(page, 'the condition', () => location.hash.includes('host=origin.test'));
  await until(page, 'the field', () => document.querySelector('input[name=host]').value === 'origin.test');
  return { rows, kinds, files: readdirSync(options.folder) };
}

const modes = { watch, many, viewer, keep };

main(() => inFront(modes[options.mode]));

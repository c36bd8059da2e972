// What all have in common that stand in front of the console: a browser of --kind, at --url.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, firefox } from './browsers.mjs';
import { check, options } from './common.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const origin = new URL(options.url).origin;
const problems = [];

export const text = (page) => page.evaluate(() => document.body.innerText);
export const until = (page, what, test, ...given) =>
  page.waitForFunction(test, { timeout: 30_000, polling: 100 }, ...given).catch(async (error) => {
    throw new Error(`${what}: ${error.message}\n${await text(page)}`);
  });
export const shoot = async (page, name) => {
  if (options.screenshot) await page.screenshot({ path: `${options.screenshot}/${name}.png` });
};

/** What axe-core holds to be serious, in the colours that the page has now. */
export async function look(page, name) {
  // The page's policy lets no script of others in; this one comes by the debugger.
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  check(found.passes.length > 10, `${name}: axe-core has looked at nothing`);
  for (const violation of found.violations) {
    if (['serious', 'critical'].includes(violation.impact)) {
      problems.push(`${name}: ${violation.id}: ${violation.nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`);
    }
  }
}

export async function colours(page, scheme) {
  await page.select('.theme select', scheme);
  await until(page, scheme, (wanted) => document.documentElement.dataset.theme === wanted, scheme);
}

export async function go(page, name, title) {
  await page.evaluate((to) => { location.hash = to; }, `#/${name}`);
  await until(page, title, (wanted) => document.querySelector('h1')?.innerText.startsWith(wanted), title);
}

export const byText = (page, selector, wanted) =>
  page.evaluateHandle((all, word) => [...document.querySelectorAll(all)].find((it) => it.innerText.includes(word)), selector, wanted);

/** Texts of the rows that are drawn, from the first to the last. */
export const rows = (page) =>
  page.evaluate(() => [...document.querySelectorAll('.rows .row')]
    .sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex')).map((row) => row.innerText));

/** Waits for a row with this word. */
export const has = (page, wanted) =>
  until(page, wanted, (word) => [...document.querySelectorAll('.rows .row')].some((row) => row.innerText.includes(word)), wanted);

/** A page of the console, whose own troubles count. */
async function opened(context) {
  const page = await context.newPage();
  await page.setViewport({ width: 1400, height: 800 });
  page.on('pageerror', (error) => problems.push(`page error: ${error.message ?? error}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/401|ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|Failed to load resource/.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  await page.goto(options.url, { timeout: 30_000 });
  return page;
}

/** Somebody else, in a browser of their own, logs in with a token. */
export async function another(page, secret) {
  const other = await opened(await page.browser().createBrowserContext());
  await logIn(other, secret);
  return other;
}

export async function logIn(page, secret) {
  await page.bringToFront();
  await page.waitForSelector('input[name=secret]');
  await page.type('input[name=secret]', secret);
  await page.keyboard.press('Enter');
  await until(page, 'the console', () => document.querySelector('nav'));
}

/** Opens the console and does something there; what was found, and the page's own troubles. */
export async function inFront(act) {
  const browser = await { chromium, firefox }[options.kind]();
  try {
    const page = await opened(browser.defaultBrowserContext());
    if (!options.secret) await until(page, 'the console', () => document.querySelector('nav'));
    const { href } = new URL(page.url());
    check(!href.includes('code='), `the code stays in the address: ${href}`);
    check(new URL(href).origin === origin, href);
    return { ...await act(page), problems };
  } finally {
    await browser.close();
  }
}

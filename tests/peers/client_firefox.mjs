// Firefox: opens --url through --proxy, waits for `window.result`, and tells what the browser saw.
//
// --user with --password is what somebody types who is asked by the proxy.
// --mode page does not wait for a result: it reports the status, the text and which pictures are there, for pages of the proxy.
// --screenshot is a file for a picture of the page.
// --home is a folder of its own; in --home/profile the test has put the CA that the browser trusts.
import { firefox } from './browsers.mjs';
import { main, options } from './common.mjs';

main(async () => {
  const browser = await firefox();
  try {
    const page = await browser.newPage();
    if (options.user) await page.authenticate({ username: options.user, password: options.password });
    const response = await page.goto(options.url, { timeout: 30_000 });
    if (options.screenshot) await page.screenshot({ path: options.screenshot });
    if (options.mode === 'page') {
      const images = await page.evaluate(() =>
        Object.fromEntries([...document.images].map((image) => [image.src, image.naturalWidth > 0])));
      return { status: response.status(), images, text: await page.evaluate(() => document.body.innerText) };
    }
    await page.waitForFunction(() => window.result, { timeout: 30_000 });
    return { version: await browser.version(), status: response.status(), ...(await page.evaluate(() => window.result)) };
  } finally {
    await browser.close();
  }
});

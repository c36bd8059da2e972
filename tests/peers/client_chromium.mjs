// Chromium: opens --url through --proxy, waits for `window.result`, and tells what the browser saw.
//
// --home is a folder of its own, in which the test has put the CA that the browser trusts.
// --screenshot is a file for a picture of the page.
// --pac is the address of a script that says which proxy is used, in the place of --proxy.
// --user with --password is what somebody types who is asked by the proxy.
// --language is the language of whoever reads.
// --again opens the page once more if its WebSocket was closed in the middle.
// --mode page does not wait for a result: it reports the status, the text and which pictures are there, for pages of the proxy.
import { chromium } from './browsers.mjs';
import { main, options } from './common.mjs';

main(async () => {
  const browser = await chromium();
  try {
    const page = await browser.newPage();
    if (options.user) await page.authenticate({ username: options.user, password: options.password });
    const response = await page.goto(options.url, { timeout: 30_000 });
    const security = response.securityDetails();
    const seen = {
      status: response.status(),
      headers: response.headers(),
      issuer: security?.issuer(),
      subject: security?.subjectName(),
      tls: security?.protocol(),
    };
    if (options.screenshot) await page.screenshot({ path: options.screenshot });
    if (options.mode === 'page') {
      const images = await page.evaluate(() =>
        Object.fromEntries([...document.images].map((image) => [image.src, image.naturalWidth > 0])));
      return { ...seen, images, text: await page.evaluate(() => document.body.innerText) };
    }
    const result = async () => {
      await page.waitForFunction(() => window.result, { timeout: 30_000 });
      return page.evaluate(() => window.result);
    };
    let found = await result();
    if (options.again && found.error?.includes('closed in the middle')) {
      await page.reload();
      found = await result();
    }
    return { ...seen, ...found };
  } finally {
    await browser.close();
  }
});

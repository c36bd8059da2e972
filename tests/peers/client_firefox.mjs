// Firefox: opens --url through --proxy, waits for `window.result`, and tells what the browser saw.
//
// --user with --password is what somebody types who is asked by the proxy.
// --mode page does not wait for a result: it reports the status, the text and which pictures are there, for pages of the proxy.
// --screenshot is a file for a picture of the page.
// --home is a folder of its own; in --home/profile the test has put the CA that the browser trusts.
import puppeteer from 'puppeteer-core';
import { main, options } from './common.mjs';

const proxy = new URL(options.proxy);
// Firefox has no setting for a proxy that is reached by TLS, but for a file that says so.
const file = `function FindProxyForURL() { return "HTTPS ${proxy.host}"; }`;
const off = [
  // Nothing but the page may use the network.
  'app.normandy.enabled', 'app.update.auto', 'app.update.enabled', 'browser.newtabpage.activity-stream.feeds.telemetry',
  'browser.newtabpage.activity-stream.telemetry', 'browser.newtabpage.enabled', 'browser.region.update.enabled',
  'browser.safebrowsing.blockedURIs.enabled', 'browser.safebrowsing.downloads.enabled',
  'browser.safebrowsing.malware.enabled', 'browser.safebrowsing.phishing.enabled', 'browser.search.update',
  'datareporting.healthreport.uploadEnabled', 'datareporting.policy.dataSubmissionEnabled', 'dom.push.connection.enabled',
  'extensions.blocklist.enabled', 'extensions.getAddons.cache.enabled', 'extensions.systemAddon.update.enabled',
  'extensions.update.enabled', 'media.gmp-manager.updateEnabled', 'media.gmp-provider.enabled',
  'network.captive-portal-service.enabled', 'network.connectivity-service.enabled', 'network.prefetch-next',
  'security.OCSP.enabled', 'security.certerrors.mitm.priming.enabled', 'security.remote_settings.crlite_filters.enabled',
  'security.remote_settings.intermediates.enabled', 'signon.autofillForms', 'toolkit.telemetry.enabled',
  'toolkit.telemetry.unified', 'toolkit.telemetry.archive.enabled',
];
const prefs = {
  ...(proxy.protocol === 'https:'
    ? { 'network.proxy.type': 2, 'network.proxy.autoconfig_url': `data:application/x-ns-proxy-autoconfig,${encodeURIComponent(file)}` }
    : { 'network.proxy.type': 1 }),
  'network.proxy.ssl': proxy.hostname,
  'network.proxy.ssl_port': Number(proxy.port),
  'network.proxy.http': proxy.hostname,
  'network.proxy.http_port': Number(proxy.port),
  'network.proxy.no_proxies_on': '',
  // Nobody is there to choose a certificate.
  'security.default_personal_cert': 'Select Automatically',
  'network.proxy.allow_hijacking_localhost': true,
  'network.proxy.failover_direct': false,
  'network.trr.mode': 5,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'datareporting.policy.firstRunURL': '',
  'browser.startup.page': 0,
  'browser.startup.homepage': 'about:blank',
};

main(async () => {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: options.browser,
    headless: true,
    timeout: 40_000,
    userDataDir: `${options.home}/profile`,
    env: { ...process.env, HOME: options.home, XDG_CONFIG_HOME: '', XDG_CACHE_HOME: '', MOZ_CRASHREPORTER_DISABLE: '1', MOZ_REMOTE_SETTINGS_DEVTOOLS: '1' },
    extraPrefsFirefox: { ...Object.fromEntries(off.map((name) => [name, false])), 'security.OCSP.enabled': 0, ...prefs },
  });
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

// Starts the browsers that the tests drive: --browser is the program, --home a folder of its own.
import puppeteer from 'puppeteer-core';
import { options } from './common.mjs';

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

/** Through --proxy, loopback too, or without a proxy. */
function firefoxPrefs() {
  const usual = {
    'services.settings.server': 'data:,#remote-settings-dummy/v1',
    'datareporting.policy.firstRunURL': '',
    'browser.startup.page': 0,
    'browser.startup.homepage': 'about:blank',
    'network.trr.mode': 5,
    // Nobody is there to choose a certificate.
    'security.default_personal_cert': 'Select Automatically',
  };
  if (!options.proxy) return { ...usual, 'network.proxy.type': 0 };
  const proxy = new URL(options.proxy);
  // Firefox has no setting for a proxy that is reached by TLS, but for a file that says so.
  const file = `function FindProxyForURL() { return "HTTPS ${proxy.host}"; }`;
  return {
    ...usual,
    ...(proxy.protocol === 'https:'
      ? { 'network.proxy.type': 2, 'network.proxy.autoconfig_url': `data:application/x-ns-proxy-autoconfig,${encodeURIComponent(file)}` }
      : { 'network.proxy.type': 1 }),
    'network.proxy.ssl': proxy.hostname,
    'network.proxy.ssl_port': Number(proxy.port),
    'network.proxy.http': proxy.hostname,
    'network.proxy.http_port': Number(proxy.port),
    'network.proxy.no_proxies_on': '',
    'network.proxy.allow_hijacking_localhost': true,
    'network.proxy.failover_direct': false,
  };
}

/** Firefox; in --home/profile the test has put the CA that it trusts. */
export const firefox = () =>
  puppeteer.launch({
    browser: 'firefox',
    executablePath: options.browser,
    headless: true,
    timeout: 40_000,
    userDataDir: `${options.home}/profile`,
    env: { ...process.env, HOME: options.home, XDG_CONFIG_HOME: '', XDG_CACHE_HOME: '', MOZ_CRASHREPORTER_DISABLE: '1', MOZ_REMOTE_SETTINGS_DEVTOOLS: '1' },
    extraPrefsFirefox: { ...Object.fromEntries(off.map((name) => [name, false])), 'security.OCSP.enabled': 0, ...firefoxPrefs() },
  });

/** Chromium, by the script at --pac in the place of --proxy; in --home the test has put the CA that it trusts. */
export const chromium = () =>
  puppeteer.launch({
    executablePath: options.browser,
    headless: true,
    userDataDir: `${options.home}/profile`,
    env: { ...process.env, HOME: options.home, XDG_CONFIG_HOME: '', XDG_DATA_HOME: '', XDG_CACHE_HOME: '' },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      // Nothing but the page may use the network.
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-default-apps',
      '--disable-domain-reliability',
      '--disable-extensions',
      '--disable-sync',
      '--metrics-recording-only',
      '--no-pings',
      '--disable-features=OptimizationHints,MediaRouter,AutofillServerCommunication,CertificateTransparencyComponentUpdater,NetworkTimeServiceQuerying',
      // Loopback goes through the proxy too.
      ...(options.language ? [`--lang=${options.language}`, `--accept-lang=${options.language}`] : []),
      ...(options.pac ? [`--proxy-pac-url=${options.pac}`] : []),
      ...(options.proxy ? [`--proxy-server=${options.proxy}`, '--proxy-bypass-list=<-loopback>'] : []),
    ],
  });

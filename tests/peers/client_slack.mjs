// Slack's own Node client in Socket Mode: ten events over two connections, acknowledging each.
import { LogLevel, SocketModeClient } from '@slack/socket-mode';
import { Agent, ProxyAgent } from 'undici';
import { ca, main, options } from './common.mjs';

const EVENTS = 10;

main(async () => {
  const trust = { ca: ca() };
  const dispatcher = options.proxy
    ? new ProxyAgent({ uri: options.proxy, requestTls: trust })
    : new Agent({ connect: trust });
  const client = new SocketModeClient({
    appToken: 'xapp-test',
    logLevel: LogLevel.ERROR,
    clientOptions: { slackApiUrl: options.api, retryConfig: { retries: 0 } },
    dispatcher,
  });
  const texts = [];
  const enough = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`only ${texts.length} events within 45 s`)), 45_000).unref();
    client.on('message', async ({ event, ack }) => {
      await ack();
      texts.push(event.text);
      if (texts.length === EVENTS) resolve();
    });
  });
  await client.start();
  await enough;
  await client.disconnect();
  return { texts };
});

// Clients of applications' framings, on Node's `ws` behind `https-proxy-agent`. Each says four things: nothing that a
// rule is about, something to be redacted, something to be dropped, and an end; and tells what came back.
//
// --mode graphql   `graphql-ws`
// --mode mqtt      `mqtt`, version 3.1.1
// --mode stomp     `@stomp/stompjs`
// --mode stomp-cut the same with each frame cut into messages of 16 bytes
// --mode signalr   `@microsoft/signalr` with its JSON protocol
// --mode msgpack   the same with `@microsoft/signalr-protocol-msgpack`
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { Client } from '@stomp/stompjs';
import { createClient } from 'graphql-ws';
import { HttpsProxyAgent } from 'https-proxy-agent';
import mqtt from 'mqtt';
import WebSocket from 'ws';
import { ca, main, options } from './common.mjs';

const trust = { agent: new HttpsProxyAgent(options.proxy, { ca: ca() }), ca: ca() };
const SAID = ['plain', 'my "kestrel"\n is here', 'leave this out', 'end'];

class Socket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, trust);
  }
}

async function graphql() {
  const client = createClient({ url: options.url, webSocketImpl: Socket, retryAttempts: 0 });
  const query = 'subscription Say($words: String) { say(words: $words) }';
  const answers = SAID.map((words) => new Promise((resolve, reject) => {
    const got = [];
    client.subscribe({ operationName: 'Say', query, variables: { words } }, {
      next: (result) => got.push(result.data.say),
      error: reject,
      complete: () => resolve(got[0]),
    });
  }));
  answers.splice(2, 1);
  const got = await Promise.all(answers);
  return { got };
}

function published() {
  return new Promise((resolve, reject) => {
    const client = mqtt.connect(options.url, {
      clientId: 'client',
      username: 'user',
      password: 'word',
      reconnectPeriod: 0,
      wsOptions: trust,
    });
    const got = [];
    client.on('error', reject);
    client.on('close', () => reject(new Error(`closed after ${JSON.stringify(got)}`)));
    client.on('message', (topic, payload) => {
      got.push(`${topic} ${payload}`);
      if (payload.toString() === 'end') resolve({ got });
    });
    client.on('connect', () => client.subscribe('a/#', () => {
      SAID.forEach((words) => client.publish('a/b', words));
    }));
  });
}

function stomp(cut) {
  return new Promise((resolve, reject) => {
    const got = [];
    const client = new Client({
      webSocketFactory: () => new Socket(options.url, ['v12.stomp']),
      reconnectDelay: 0,
      splitLargeFrames: cut,
      maxWebSocketChunkSize: 16,
      onWebSocketError: reject,
      onWebSocketClose: () => reject(new Error(`closed after ${JSON.stringify(got)}`)),
      onConnect: () => {
        client.subscribe('/a', (message) => {
          got.push(`${message.headers.note} ${message.body}`);
          if (message.body === 'end') resolve({ got });
        });
        SAID.forEach((body) => client.publish({ destination: '/a', body, headers: { note: 'x:kestrel' } }));
      },
    });
    client.activate();
  });
}

async function signalr(protocol) {
  const connection = new HubConnectionBuilder()
    .withUrl(options.url, { skipNegotiation: true, transport: HttpTransportType.WebSockets, WebSocket: Socket })
    .withHubProtocol(protocol)
    .configureLogging(LogLevel.None)
    .build();
  const pushed = [];
  connection.on('heard', (words) => pushed.push(words));
  await connection.start();
  const got = [];
  for (const words of SAID) {
    const said = [words, { nested: [words] }];
    // What is dropped is never answered. Calls that are made at once would be one message, and share its fate.
    if (words === 'leave this out') await connection.send('Say', ...said);
    else got.push(await connection.invoke('Say', ...said));
  }
  await connection.stop();
  return { got, pushed };
}

const MODES = {
  graphql,
  mqtt: published,
  stomp: () => stomp(false),
  'stomp-cut': () => stomp(true),
  signalr: () => signalr(new JsonHubProtocol()),
  msgpack: () => signalr(new MessagePackHubProtocol()),
};
main(() => MODES[options.mode]());

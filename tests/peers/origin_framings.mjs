// An origin that speaks applications' framings over WebSocket.
//
// /graphql   `graphql-ws` on graphql-js: `say(words)` yields its words
// /mqtt      the broker aedes
// /stomp     a stand-in for a broker: each SEND comes back as a MESSAGE of the one subscription
// /signalr   a stand-in for a hub, which reads and writes with the two protocols of `@microsoft/signalr`
import { createServer } from 'node:https';
import { JsonHubProtocol, MessageType, NullLogger } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { Aedes } from 'aedes';
import { GraphQLInt, GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { ready, say, serverTls } from './common.mjs';

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { none: { type: GraphQLInt } } }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      say: {
        type: GraphQLString,
        args: { words: { type: GraphQLString } },
        subscribe: async function* (_, { words }) { yield { say: words }; },
      },
    },
  }),
});

const graphql = new WebSocketServer({ noServer: true, handleProtocols: () => 'graphql-transport-ws' });
useServer({ schema }, graphql);

const broker = await Aedes.createBroker();
broker.on('clientReady', (client) => say({ client: client.id }));
const mqtt = new WebSocketServer({ noServer: true, handleProtocols: () => 'mqtt' });
mqtt.on('connection', (socket) => broker.handle(createWebSocketStream(socket)));

const stomp = new WebSocketServer({ noServer: true, handleProtocols: () => 'v12.stomp' });
stomp.on('connection', (socket) => {
  let waiting = '';
  socket.on('message', (data) => {
    waiting += data;
    if (!/\0\n*$/.test(waiting)) return;
    const frame = waiting;
    waiting = '';
    const [head, ...rest] = frame.split('\n\n');
    const body = Buffer.from(rest.join('\n\n').replace(/\0\n*$/, ''));
    const headers = head.split('\n');
    const command = headers.shift();
    if (command === 'CONNECT') socket.send('CONNECTED\nversion:1.2\n\n\0');
    if (command === 'SEND') {
      const length = headers.find((header) => header.startsWith('content-length:'));
      say({ length: Number(length?.split(':')[1]), bytes: body.length });
      const note = headers.find((header) => header.startsWith('note:'));
      socket.send(`MESSAGE\nsubscription:sub-0\nmessage-id:1\ndestination:/a\n${note}\n\n${body}\0`);
    }
  });
});

const PROTOCOLS = { json: new JsonHubProtocol(), messagepack: new MessagePackHubProtocol() };
const RECORD_END = 0x1e;
const signalr = new WebSocketServer({ noServer: true });
signalr.on('connection', (socket) => {
  let protocol;
  socket.on('message', (data, isBinary) => {
    let rest = data;
    if (!protocol) {
      const end = data.indexOf(RECORD_END);
      const handshake = JSON.parse(data.subarray(0, end));
      say({ handshake });
      protocol = PROTOCOLS[handshake.protocol];
      socket.send(Buffer.from('{}\x1e'), { binary: false });
      rest = data.subarray(end + 1);
    }
    if (rest.length === 0) return;
    const read = isBinary ? new Uint8Array(rest).buffer : rest.toString();
    for (const message of protocol.parseMessages(read, NullLogger.instance)) {
      if (message.type !== MessageType.Invocation) continue;
      const [words, { nested }] = message.arguments;
      say({ target: message.target, words, nested });
      const answers = [
        { type: MessageType.Invocation, headers: {}, target: 'heard', arguments: nested },
        { type: MessageType.Completion, headers: {}, invocationId: message.invocationId, result: words },
      ];
      for (const answer of answers) socket.send(protocol.writeMessage(answer));
    }
  });
});

const sockets = { '/graphql': graphql, '/mqtt': mqtt, '/stomp': stomp, '/signalr': signalr };
const server = createServer(serverTls());
server.on('upgrade', (request, socket, head) => {
  const to = sockets[request.url];
  to.handleUpgrade(request, socket, head, (opened) => to.emit('connection', opened, request));
});
server.listen(0, '127.0.0.1', () => ready(server));

// An origin that speaks applications' framings over WebSocket.
//
// /graphql   `graphql-ws` on graphql-js: `say(words)` yields its words
// /mqtt      the broker aedes
// /stomp     a stand-in for a broker: each SEND comes back as a MESSAGE of the one subscription
import { createServer } from 'node:https';
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
  socket.on('message', (data) => {
    const frame = data.toString();
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

const sockets = { '/graphql': graphql, '/mqtt': mqtt, '/stomp': stomp };
const server = createServer(serverTls());
server.on('upgrade', (request, socket, head) => {
  const to = sockets[request.url];
  to.handleUpgrade(request, socket, head, (opened) => to.emit('connection', opened, request));
});
server.listen(0, '127.0.0.1', () => ready(server));

// Upstream answered an upload before it had read it, and closed, as Qdrant does with JSON over its limit. The next piece of the
// body met a closed connection, Node ended the socket with that write, and the answer that had come was 502 instead.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { openTransports } from '../support/transports/transports.ts';

const SIZE = 4 << 20;
const BODY = '{"status":{"error":"JSON payload is larger than allowed"},"time":0.0}';

/** Answers with the head of a request, and closes with all of its body unread. */
const server = createServer({ pauseOnConnect: true }, (socket: Socket) => {
  socket.on('error', () => undefined);
  socket.once('readable', () => {
    if (!socket.read()?.toString('latin1').startsWith('PUT')) {
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      return;
    }
    const head = 'HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n';
    socket.write(`${head}content-length: ${BODY.length}\r\n\r\n${BODY}`, () => socket.destroy());
  });
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const transports = await openTransports({ settings: { 'gateway.upstream.rest_url': upstream } });
t.teardown(async () => {
  await transports.close();
  server.close();
});

for (const { name, send } of transports.all) {
  t.test(`${name}: an answer before the body, and the end of the connection, is the answer`, async (t) => {
    for (let round = 0; round < 2; round += 1) {
      const { status, body } = await send({
        ...{ method: 'PUT', target: '/collections/a/points', headers: [['api-key', KEYS.admin]] },
        body: Buffer.alloc(SIZE, ' '),
      });
      t.strictSame([status, body.toString()], [400, BODY]);
    }
  });
}

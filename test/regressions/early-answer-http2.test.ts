// An answer over HTTP/2 began before the whole body was there, and ended after it. Its upstream connection went to the next
// client all the same: an upstream that took the rest of the body for a request answered that one in place of the client's own.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t from 'tap';
import { Flag, FrameType } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders } from '../../src/http2/write-frames.ts';
import { startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { H2Client, type SeenFrame } from '../support/clients/h2-client.ts';
import { outcome, restFields } from '../support/invariants-http2.ts';
import { until } from '../support/until.ts';

const { issuer, ...tls } = await testCertificate();
const sockets = new Set<Socket>();
let opened = 0;
/** Of an upload, the answer begins with the first half of its body, and ends with the second. */
let begins = true;
const server = createServer((socket) => {
  opened += 1;
  sockets.add(socket);
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  let asked = '';
  socket.on('data', (chunk) => {
    asked += chunk.toString('latin1');
    if (asked.startsWith('GET')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
    else if (begins) {
      begins = false;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234');
    } else if (asked.endsWith('0123456789')) socket.write('56789');
  });
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const gateway = await startGateway((server.address() as AddressInfo).port, { tls, relayed: true });
t.teardown(async () => {
  await gateway.close();
  server.close();
  for (const socket of sockets) socket.destroy();
});

const KEY: HeaderField = ['api-key', 'main'];
const get = (streamId: number): Buffer =>
  writeHeaders(streamId, encodeHeaders([...restFields('/collections/a', [KEY])]), true);

t.test('the connection of an answer that began before its body was whole is not used again', async (t) => {
  const client = await H2Client.connect(gateway.port, { ca: Buffer.from(issuer) });
  t.teardown(() => client.socket.destroy());
  const fields = restFields('/collections/a/points', [KEY, ['content-length', '10']], 'PUT');
  client.send(writeHeaders(1, encodeHeaders(fields), false), writeData(1, Buffer.from('01234'), false));
  t.equal(await outcome(client, 1), 'status 200', 'begun');
  client.send(writeData(1, Buffer.from('56789'), true));
  const isLast = ({ streamId, type, flags }: SeenFrame): boolean =>
    streamId === 1 && type === FrameType.DATA && (flags & Flag.END_STREAM) !== 0;
  await until(() => client.frames.some(isLast), 'the first answer is whole');
  client.send(get(3));
  t.equal(await outcome(client, 3), 'status 200');
  t.equal(opened, 2, 'the next request has a connection of its own');
  await until(() => sockets.size === 1, 'the first one has ended');
  client.send(get(5));
  t.equal(await outcome(client, 5), 'status 200');
  t.equal(opened, 2, 'and shares it with the one after');
  t.strictSame(gateway.faults, []);
});

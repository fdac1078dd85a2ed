import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { connect } from 'node:tls';
import fc from 'fast-check';
import t from 'tap';
import { offeredProtocols } from '../../src/net/client-hello.ts';

/** The first bytes of a real client. @param alpn protocols that it offers; default: none */
async function helloOf(alpn?: readonly string[], more: object = {}): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({
    ...{ port, host: '127.0.0.1', servername: 'qdrant.example.com', ...more },
    ...(alpn ? { ALPNProtocols: [...alpn] } : {}),
  });
  client.on('error', () => undefined);
  const [socket] = await once(server, 'connection');
  let bytes = Buffer.alloc(0);
  while (offeredProtocols(bytes) === 'more') bytes = Buffer.concat([bytes, (await once(socket, 'data'))[0]]);
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

t.test('the protocols that real clients offer', async (t) => {
  const cases: readonly (readonly [name: string, alpn: readonly string[] | undefined, more?: object])[] = [
    ['a validator', ['acme-tls/1']],
    ['a browser', ['h2', 'http/1.1']],
    ['a mixed list', ['h2', 'acme-tls/1']],
    ['a validator over TLS 1.2', ['acme-tls/1'], { maxVersion: 'TLSv1.2' }],
    ['none', undefined],
  ];
  for (const [name, alpn, more] of cases) t.same(offeredProtocols(await helloOf(alpn, more)), alpn ?? 'none', name);
});

const whole = await helloOf(['acme-tls/1']);

t.test('a record that is not complete is waited for, up to its size', async (t) => {
  for (let size = 0; size < whole.length; size += 1) t.equal(offeredProtocols(whole.subarray(0, size)), 'more');
  t.same(
    offeredProtocols(Buffer.concat([whole, Buffer.from('more')])),
    ['acme-tls/1'],
    'what follows is not looked at',
  );
  const long = Buffer.from([0x16, 3, 1, 0xff, 0xff]);
  t.equal(offeredProtocols(long), 'none', 'a record longer than any');
  t.equal(offeredProtocols(Buffer.from('GET / HTTP/1.1\r\n')), 'none');
});

t.test('no bytes make it fail, and only the whole offer of one protocol is one', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const found = offeredProtocols(
        Buffer.concat([Buffer.from([0x16, 3, 1, bytes.length >> 8, bytes.length & 255]), bytes]),
      );
      return found === 'none' || Array.isArray(found);
    }),
  );
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(whole);
      changed[at] = value;
      const found = offeredProtocols(changed);
      return found === 'none' || found === 'more' || found.length > 0;
    }),
  );
  t.pass('for every mutation of one byte');
});

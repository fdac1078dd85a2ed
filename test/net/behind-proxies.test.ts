import t from 'tap';
import { behind, clientsSeen, dial, overHttp1, STRANGER, seenAs, TRUSTED } from '../support/behind-proxies.ts';
import { talk } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { addresses4, addresses6, checked, tlv, v2 } from '../support/proxy-header.ts';

/*
 * The client of connections and requests that come through proxies, over the relay, the server and HTTP/2 of the REST port, and over
 * gRPC.
 */

const V1 = Buffer.from('PROXY TCP4 203.0.113.5 127.0.0.1 4660 6333\r\n');
const V2 = checked(0x21, 0x11, Buffer.concat([addresses4('203.0.113.6'), tlv(0xea, Buffer.from('vpce-1'))]));
const V2_6 = v2(0x21, 0x21, addresses6('20010db8000200000000000000000001'));
const LOCAL = v2(0x20, 0x00, Buffer.alloc(0));

for (const tls of [true, false]) {
  t.test(`a PROXY header of a trusted proxy names the client (TLS ${tls})`, async (t) => {
    const one = await behind(t, tls, { 'gateway.proxy_protocol': 'require' });
    t.strictSame(await clientsSeen(one, { header: V1 }), seenAs('203.0.113.5'), 'version 1');
    t.strictSame(await clientsSeen(one, { header: V2 }), seenAs('203.0.113.6'), 'version 2');
    t.strictSame(await clientsSeen(one, { header: V2_6 }), seenAs('2001:db8:2::1'), 'IPv6');
    t.strictSame(await clientsSeen(one, { header: V1, slowly: true }), seenAs('203.0.113.5'), 'version 1 in bytes');
    t.strictSame(await clientsSeen(one, { header: V2, slowly: true }), seenAs('203.0.113.6'), 'version 2 in bytes');
    t.strictSame(await clientsSeen(one, { header: LOCAL }), seenAs(TRUSTED), 'LOCAL: the proxy itself');
    t.strictSame(await clientsSeen(one, { from: STRANGER }), seenAs(STRANGER), 'others come without one');
    const spoofed = { 'x-forwarded-for': '198.51.100.9', 'x-real-ip': '198.51.100.9' };
    const named = await clientsSeen(one, { header: V1, headers: spoofed });
    t.strictSame(named, seenAs('203.0.113.5'), 'what that client says of itself counts for nothing');
  });
}

t.test('a PROXY header may be left out where it is accepted', async (t) => {
  const one = await behind(t, false, { 'gateway.proxy_protocol': 'accept' });
  t.strictSame(await clientsSeen(one, { header: V2 }), seenAs('203.0.113.6'));
  t.strictSame(await clientsSeen(one, {}), seenAs(TRUSTED), 'without');
  const headers = { 'x-forwarded-for': '198.51.100.9, 203.0.113.5' };
  t.strictSame(await clientsSeen(one, { headers }), seenAs('203.0.113.5'), 'each request names its client');
});

t.test('X-Forwarded-For names the client of a request, from trusted proxies only', async (t) => {
  const one = await behind(t, true, {});
  const headers = { 'x-forwarded-for': '198.51.100.9, 203.0.113.5' };
  t.strictSame(await clientsSeen(one, { headers }), seenAs('203.0.113.5'));
  t.strictSame(await clientsSeen(one, { headers, from: STRANGER }), seenAs(STRANGER));
  t.strictSame(await clientsSeen(one, { headers: { forwarded: 'for=203.0.113.5' } }), seenAs(TRUSTED));
});

t.test('Forwarded instead, where it is the header of the proxies', async (t) => {
  const one = await behind(t, false, { 'gateway.forwarded_header': 'forwarded' });
  const headers = { forwarded: 'for=198.51.100.9, for="[2001:db8:2::1]:443";proto=https' };
  t.strictSame(await clientsSeen(one, { headers }), seenAs('2001:db8:2::1'));
  t.strictSame(await clientsSeen(one, { headers, from: STRANGER }), seenAs(STRANGER));
  t.strictSame(await clientsSeen(one, { headers: { 'x-forwarded-for': '203.0.113.5' } }), seenAs(TRUSTED));
});

t.test('the requests of several clients on one connection of a proxy are told apart', async (t) => {
  const one = await behind(t, false, {});
  const socket = await dial(one.gateway.rest.port, TRUSTED);
  const request = (client: string, last = false): string =>
    `GET /collections HTTP/1.1\r\nhost: a\r\napi-key: ${KEYS.admin}\r\nx-forwarded-for: ${client}\r\n${last ? 'connection: close\r\n' : ''}\r\n`;
  await talk(
    socket,
    request('203.0.113.5') + request('203.0.113.6') + request('203.0.113.5') + request('203.0.113.7', true),
  );
  t.strictSame(
    one.seen.map(({ remote }) => remote),
    ['203.0.113.5', '203.0.113.6', '203.0.113.5', '203.0.113.7'],
  );
});

t.test('wrong credentials count for the client, over all connections of the proxies', async (t) => {
  for (const relay of [true, false]) {
    const one = await behind(t, false, { 'gateway.rest.relay': relay });
    const guess = (client: string) =>
      overHttp1(one, { headers: { 'x-forwarded-for': client } }, 'wrong', '/collections');
    const tries = await Promise.all(Array.from({ length: 100 }, () => guess('203.0.113.5')));
    t.strictSame([...new Set(tries)], ['401']);
    t.equal(await guess('203.0.113.6'), '401');
    const slowed = (client: string) =>
      one.seen.filter((seen) => seen.remote === client && seen.slowed === 'guesses').length;
    t.ok(slowed('203.0.113.5') > 0, `the guesser waits, relay ${relay}`);
    t.equal(slowed('203.0.113.6'), 0, 'another client does not');
  }
});

t.test('a PROXY header is refused where it is not read, and missed where it is required', async (t) => {
  for (const tls of [true, false]) {
    const one = await behind(t, tls, {
      'gateway.proxy_protocol': 'require',
      'gateway.limits.tls_handshake_timeout_ms': 500,
    });
    const { gateway, seen } = one;
    for (const port of [gateway.rest.port, gateway.grpc.port]) {
      const text = 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n';
      const ended = async (from: string, bytes: Buffer): Promise<Buffer> => {
        const { closed, received } = await talk(await dial(port, from), bytes);
        t.ok(closed, 'the connection ends');
        return received;
      };
      const refused = await ended(STRANGER, Buffer.concat([V1, Buffer.from(text)]));
      t.notMatch(refused.toString('latin1'), / 200 /, 'a header of a stranger is no header');
      await ended(STRANGER, V2);
      const silent: readonly (readonly [string, Buffer])[] = [
        ['none of a trusted proxy', Buffer.from(text)],
        ['a malformed one', Buffer.from('PROXY TCP4 1.2.3 x\r\n')],
        ['a part of one', V2.subarray(0, 20)],
      ];
      for (const [name, bytes] of silent) t.equal((await ended(TRUSTED, bytes)).length, 0, `no answer to ${name}`);
    }
    t.equal(seen.length, 0, 'no request began');
  }
});

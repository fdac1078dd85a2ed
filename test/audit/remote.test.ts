import t from 'tap';
import { remoteOf } from '../../src/audit/remote.ts';

const PEER = '10.0.0.9';
type Case = readonly [name: string, trusted: number, native: boolean, headers: readonly string[], remote: string];
const FORWARDED = ['X-Forwarded-For', '203.0.113.7, 198.51.100.2', 'x-forwarded-for', '10.0.0.1'];

const CASES: readonly Case[] = [
  ['no proxy is trusted by default', 0, false, FORWARDED, PEER],
  ['one proxy: the last entry over all headers', 1, false, FORWARDED, '10.0.0.1'],
  ['two proxies: the last but one', 2, false, FORWARDED, '198.51.100.2'],
  ['three proxies: the client', 3, false, FORWARDED, '203.0.113.7'],
  ['more proxies than entries: the peer', 4, false, FORWARDED, PEER],
  ['no header: the peer', 1, false, ['x-forwarded-host', '203.0.113.7'], PEER],
  ['what a client puts before is not believed', 1, false, ['x-forwarded-for', '1.1.1.1, 2.2.2.2'], '2.2.2.2'],
  ['the native setting takes the first entry', 0, true, FORWARDED, '203.0.113.7'],
  ['a number of proxies wins over the native setting', 1, true, FORWARDED, '10.0.0.1'],
  ['an entry that is no address', 1, false, ['x-forwarded-for', 'unknown'], PEER],
  ['an entry with a line break in it', 1, true, ['x-forwarded-for', '1.1.1.1\n{"result":"ok"}'], PEER],
  ['an empty entry', 1, false, ['x-forwarded-for', '1.1.1.1, '], PEER],
  ['an octet too large', 0, true, ['x-forwarded-for', '1.1.1.256'], PEER],
  ['an IPv4 address with a port', 1, false, ['x-forwarded-for', '203.0.113.7:4711'], '203.0.113.7'],
  ['an IPv6 address', 1, false, ['x-forwarded-for', '2001:db8::1'], '2001:db8::1'],
  ['an IPv6 address in brackets', 1, false, ['x-forwarded-for', '[2001:db8::1]'], '2001:db8::1'],
  ['an IPv6 address with a port', 1, false, ['x-forwarded-for', '[2001:db8::1]:4711'], '2001:db8::1'],
  [
    'the native setting takes `forwarded` first',
    0,
    true,
    [...FORWARDED, 'Forwarded', 'for=192.0.2.60;proto=http'],
    '192.0.2.60',
  ],
  ['its first element', 0, true, ['forwarded', 'proto=http; For="[2001:db8::1]:47", for=192.0.2.60'], '2001:db8::1'],
  ['one that names no address', 0, true, [...FORWARDED, 'forwarded', 'for=_hidden'], '203.0.113.7'],
  ['one with a quote that is left open', 0, true, ['forwarded', 'by="x;for=192.0.2.60'], PEER],
  ['a number of proxies does not look at it', 1, false, ['forwarded', 'for=192.0.2.60'], PEER],
  ['brackets around a name', 1, false, ['x-forwarded-for', '[evil]'], PEER],
];

for (const [name, trustedProxies, trustForwardedHeaders, headers, remote] of CASES) {
  t.test(name, async (t) => {
    t.equal(remoteOf({ headers, remote: PEER }, { trustedProxies, trustForwardedHeaders }), remote);
  });
}

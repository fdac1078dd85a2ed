import t from 'tap';
import { AddressRanges, readAddress } from '../../src/net/addresses.ts';
import { trustedProxies } from '../../src/net/trusted-proxies.ts';

const TRUSTED = ['fe80::/10', '10.0.0.0/8', '2001:db8:1::/48', '192.0.2.9', 'unix:'];

t.test('ranges have the addresses within them and no others', async (t) => {
  const ranges = new AddressRanges(TRUSTED);
  for (const inside of [
    '10.0.0.0',
    '10.255.255.255',
    '2001:db8:1::5',
    '192.0.2.9',
    'unix:',
    'fe80::5%eth0',
    '::ffff:10.0.0.1',
  ])
    t.ok(ranges.has(inside), inside);
  for (const outside of ['11.0.0.0', '9.255.255.255', '2001:db8:2::5', '192.0.2.8', '', 'unknown', 'ff02::1%eth0'])
    t.notOk(ranges.has(outside), outside);
  t.notOk(new AddressRanges(['10.0.0.0/8']).has('unix:'));
});

t.test('an address has one text', async (t) => {
  const cases: readonly (readonly [text: string, address: string | undefined])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['192.0.2.01', undefined],
    ['192.0.2', undefined],
    ['localhost', undefined],
    ['', undefined],
    ['unix:', undefined],
  ];
  for (const [text, address] of cases) t.equal(readAddress(text), address, text);
});

type Case = readonly [name: string, headers: readonly string[], client: string];
const PEER = '10.0.0.1';

const X_FORWARDED_FOR: readonly Case[] = [
  ['no header: the proxy itself', ['host', 'a'], PEER],
  ['one entry', ['X-Forwarded-For', '203.0.113.5'], '203.0.113.5'],
  ['what the client itself wrote stands to the left', ['x-forwarded-for', '1.1.1.1, 203.0.113.5'], '203.0.113.5'],
  ['a client that names a trusted proxy', ['x-forwarded-for', '10.0.0.7, 203.0.113.5'], '203.0.113.5'],
  ['two proxies', ['x-forwarded-for', '1.1.1.1, 203.0.113.5, 10.0.0.2'], '203.0.113.5'],
  [
    'two headers are one list',
    ['x-forwarded-for', '203.0.113.5', 'a', 'b', 'x-forwarded-for', '10.0.0.2'],
    '203.0.113.5',
  ],
  ['only trusted entries: the left-most', ['x-forwarded-for', '10.0.0.3, 10.0.0.2'], '10.0.0.3'],
  ['no address', ['x-forwarded-for', 'unknown'], PEER],
  ['no address behind a proxy', ['x-forwarded-for', '203.0.113.5, unknown, 10.0.0.2'], '10.0.0.2'],
  ['an empty entry', ['x-forwarded-for', '203.0.113.5, '], PEER],
  ['an empty header', ['x-forwarded-for', ''], PEER],
  ['with a port', ['x-forwarded-for', '203.0.113.5:443'], '203.0.113.5'],
  ['IPv6', ['x-forwarded-for', '2001:DB8:2::1'], '2001:db8:2::1'],
  ['IPv6 with a port', ['x-forwarded-for', '[2001:db8:2::1]:443'], '2001:db8:2::1'],
  ['IPv4 within IPv6', ['x-forwarded-for', '::ffff:203.0.113.5'], '203.0.113.5'],
  ['the other header is not read', ['forwarded', 'for=203.0.113.5'], PEER],
  ['nor an alias with an underscore', ['x_forwarded_for', '203.0.113.5'], PEER],
];

const FORWARDED: readonly Case[] = [
  ['one element', ['Forwarded', 'for=203.0.113.5;proto=https'], '203.0.113.5'],
  ['quoted, with a port', ['forwarded', 'For="[2001:db8:2::1]:5"'], '2001:db8:2::1'],
  ['behind other parameters', ['forwarded', 'by=10.0.0.1;host="a.test";for=203.0.113.5'], '203.0.113.5'],
  ['the right-most that is not trusted', ['forwarded', 'for=1.1.1.1, for=203.0.113.5, for=10.0.0.2'], '203.0.113.5'],
  ['a quote that the client left open', ['forwarded', 'for=", for=203.0.113.5'], '203.0.113.5'],
  ['a piece of a quoted text', ['forwarded', 'for=203.0.113.5;host="a,for=6.6.6.6"'], PEER],
  ['two clients in one element', ['forwarded', 'for=6.6.6.6;for=203.0.113.5'], PEER],
  ['no client', ['forwarded', 'proto=https'], PEER],
  ['an unknown client', ['forwarded', 'for=unknown'], PEER],
  ['a hidden client', ['forwarded', 'for=_hidden'], PEER],
  ['the other header is not read', ['x-forwarded-for', '203.0.113.5'], PEER],
];

for (const [header, cases] of [
  ['x-forwarded-for', X_FORWARDED_FOR],
  ['forwarded', FORWARDED],
] as const) {
  t.test(`the client of a request by ${header}`, async (t) => {
    const proxies = trustedProxies(TRUSTED, header);
    for (const [name, headers, client] of cases) t.equal(proxies.clientOf(PEER, headers), client, name);
  });
}

t.test('a list of trusted addresses without end is looked at for a while', async (t) => {
  const proxies = trustedProxies(TRUSTED, 'x-forwarded-for');
  const long = Array.from({ length: 33 }, (_, at) => `10.0.0.${at}`);
  t.equal(proxies.clientOf(PEER, ['x-forwarded-for', ['203.0.113.5', ...long].join(',')]), '10.0.0.1');
  t.equal(proxies.clientOf(PEER, ['x-forwarded-for', ['203.0.113.5', ...long.slice(2)].join(',')]), '203.0.113.5');
});

t.test('wrong credentials count for a client by its network', async (t) => {
  const proxies = trustedProxies(TRUSTED, 'x-forwarded-for');
  const one = proxies.guessesOf('2001:db8:2::1');
  t.equal(proxies.guessesOf('2001:db8:2:0:5::1'), one, 'the same /64');
  t.not(proxies.guessesOf('2001:db8:2:1::1'), one);
  t.not(proxies.guessesOf('203.0.113.5'), one);
});

import fc from 'fast-check';
import t from 'tap';
import { crc32c } from '../../src/net/crc32c.ts';
import { type ProxyHeader, readProxyHeader } from '../../src/net/proxy-header.ts';
import { addresses4, addresses6, checked, tlv, v2 } from '../support/proxy-header.ts';

const read = (text: string): ProxyHeader => readProxyHeader(Buffer.from(text, 'latin1'));
const V6 = '2001:db8::1';
const LONGEST = `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`;

t.test('version 1 is read to the letter', async (t) => {
  const sound: readonly (readonly [line: string, source: string | undefined])[] = [
    ['PROXY TCP4 192.0.2.1 198.51.100.7 1 65535\r\n', '192.0.2.1'],
    ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n', '255.255.255.255'],
    [`PROXY TCP6 ${V6} ::1 0 6333\r\n`, V6],
    ['PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 0 6333\r\n', V6],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n', '192.0.2.1'],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff::1 whatever comes\r\n', undefined],
    [LONGEST, undefined],
  ];
  t.equal(LONGEST.length, 107);
  for (const [line, source] of sound) t.strictSame(read(line), { length: line.length, source }, line);
  const malformed = [
    'PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n',
    'PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.1  198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n',
    `PROXY TCP4 ${V6} ::1 1 2\r\n`,
    `PROXY TCP4 192.0.2.1 ${V6} 1 2\r\n`,
    'PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY TCP5 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY UNKNOWNED\r\n',
    'PROXY \r\n',
    'PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n',
    `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`,
    `PROXY UNKNOWN ${'x'.repeat(200)}`,
  ];
  for (const line of malformed) t.equal(read(line), 'malformed', line);
  for (const line of [
    'GET / HTTP/1.1\r\n',
    'PROPFIND / HTTP/1.1\r\n',
    'PRI * HTTP/2.0\r\n',
    'proxy TCP4 ',
    '\x16\x03\x01',
    '\r\nGET /',
  ])
    t.equal(read(line), 'absent', line);
});

t.test('version 2 is read by command, family and length', async (t) => {
  const a4 = addresses4('192.0.2.1');
  const a6 = addresses6('20010db8000000000000000000000001');
  const mapped = addresses6('00000000000000000000ffffc0000201');
  const sound: readonly (readonly [name: string, header: Buffer, source: string | undefined])[] = [
    ['INET', v2(0x21, 0x11, a4), '192.0.2.1'],
    ['INET6', v2(0x21, 0x21, a6), V6],
    ['INET6 with an IPv4 address in it', v2(0x21, 0x21, mapped), '192.0.2.1'],
    ['UNIX', v2(0x21, 0x31, Buffer.alloc(216, 'x')), 'unix:'],
    ['UNSPEC', v2(0x21, 0x00, Buffer.from('anything')), undefined],
    ['LOCAL, as health checks of a proxy', v2(0x20, 0x00, Buffer.alloc(0)), undefined],
    ['LOCAL with addresses, which are skipped', v2(0x20, 0x11, a4), undefined],
    ['LOCAL with anything', v2(0x20, 0xff, Buffer.from('abc')), undefined],
    [
      'TLVs',
      v2(0x21, 0x11, Buffer.concat([a4, tlv(0x04, Buffer.alloc(9)), tlv(0xea, Buffer.from('vpce-1'))])),
      '192.0.2.1',
    ],
    ['a checksum', checked(0x21, 0x11, a4), '192.0.2.1'],
  ];
  for (const [name, header, source] of sound) {
    t.strictSame(readProxyHeader(header), { length: header.length, source }, name);
  }
  const wrong = checked(0x21, 0x11, a4);
  wrong.writeUInt8((wrong.at(-1) ?? 0) ^ 1, wrong.length - 1);
  const malformed: readonly (readonly [name: string, header: Buffer])[] = [
    ['another version', v2(0x11, 0x11, a4)],
    ['another command', v2(0x22, 0x11, a4)],
    ['datagrams', v2(0x21, 0x12, a4)],
    ['an unknown family', v2(0x21, 0x41, a4)],
    ['a family without a transport', v2(0x21, 0x10, a4)],
    ['addresses that are cut short', v2(0x21, 0x11, a4.subarray(0, 11))],
    ['addresses of IPv4 for IPv6', v2(0x21, 0x21, a4)],
    ['a TLV that is cut short', v2(0x21, 0x11, Buffer.concat([a4, Buffer.from([4, 0])]))],
    ['a TLV beyond the header', v2(0x21, 0x11, Buffer.concat([a4, Buffer.from([4, 0, 9, 1])]))],
    ['a wrong checksum', wrong],
    ['a checksum of another size', v2(0x21, 0x11, Buffer.concat([a4, tlv(0x03, Buffer.alloc(3))]))],
    ['more than the bound', v2(0x21, 0x11, Buffer.concat([a4, tlv(0x04, Buffer.alloc(8200))]))],
  ];
  for (const [name, header] of malformed) t.equal(readProxyHeader(header), 'malformed', name);
});

t.test('the checksum is CRC-32C', async (t) => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa, 'RFC 3720 appendix B.4');
});

const headers = fc.oneof(
  fc
    .constantFrom('PROXY UNKNOWN\r\n', 'PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\n', LONGEST)
    .map((line) => Buffer.from(line)),
  fc
    .array(fc.tuple(fc.integer({ min: 4, max: 255 }), fc.uint8Array({ maxLength: 300 })), { maxLength: 8 })
    .map((tlvs) => {
      const all = tlvs.map(([type, value]) => tlv(type, Buffer.from(value)));
      return checked(0x21, 0x11, Buffer.concat([addresses4('192.0.2.1'), ...all]));
    }),
);

t.test('a header is read at its last byte, whatever follows', async (t) => {
  const property = fc.property(headers, fc.uint8Array({ maxLength: 64 }), (header, behind) => {
    for (let length = 0; length < header.length; length += 1) {
      if (readProxyHeader(header.subarray(0, length)) !== 'partial') return false;
    }
    const whole = readProxyHeader(Buffer.concat([header, behind]));
    return typeof whole !== 'string' && whole.length === header.length;
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test('no bytes make the reader throw, or read beyond what it has', async (t) => {
  const changed = fc.tuple(headers, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([header, at, byte]) => {
    const bytes = Buffer.from(header);
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  const random = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
  const begun = random.map((bytes) => Buffer.concat([v2(0x21, 0x11, Buffer.alloc(0)).subarray(0, 12), bytes]));
  const property = fc.property(fc.oneof(changed, random, begun), (bytes) => {
    const found = readProxyHeader(bytes);
    return typeof found === 'string' || (found.length <= bytes.length && found.length > 0);
  });
  t.doesNotThrow(() => fc.assert(property));
});

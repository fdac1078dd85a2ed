import { X509Certificate } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import t from 'tap';
import { readNames } from '../../src/x509/certificate.ts';
import { readDer, UnreadableDer } from '../../src/x509/der.ts';
import { attributesOf, nameText } from '../../src/x509/names.ts';
import { derOf, newCa, sanOf } from '../support/client-certificates.ts';

const ca = await newCa('names');

/** The names of a certificate with these alternative names, byte for byte. */
async function sanRead(...san: readonly (readonly [number, string | Buffer])[]) {
  return readNames((await ca.issue({ san })).der).san;
}

t.test('alternative names are read one by one, whatever they hold', async (t) => {
  const uris = [
    'spiffe://a/b',
    'https://x/?a=1,URI:spiffe://a/admin',
    'urn:a", URI:"b',
    "urn:o'k\\u0000",
    'DNS:evil, URI:x',
  ];
  const found = await sanRead(
    ...uris.map((uri) => [6, uri] as const),
    [2, 'a.example, DNS:b.example'],
    [1, 'me@example.com'],
  );
  t.same(found, { uri: uris, dns: ['a.example, DNS:b.example'], email: ['me@example.com'], ip: [] });
});

t.test('addresses are written in one form', async (t) => {
  const v6 = Buffer.from('20010db8000000000000000000000001', 'hex');
  const found = await sanRead([7, Buffer.of(10, 0, 0, 1)], [7, v6]);
  t.same(found.ip, ['10.0.0.1', '2001:db8:0:0:0:0:0:1']);
});

t.test('a certificate without alternative names has none', async (t) => {
  t.same(readNames((await ca.issue()).der).san, { uri: [], dns: [], email: [], ip: [] });
});

for (const [name, san] of Object.entries({
  'a NUL': [6, 'spiffe://a/b\0.evil'],
  'a line end': [6, 'spiffe://a/b\n'],
  'a byte above ASCII': [2, Buffer.of(0x61, 0xe4)],
  'an address of five bytes': [7, Buffer.alloc(5)],
} satisfies Record<string, readonly [number, string | Buffer]>)) {
  t.test(`${name} makes the certificate unreadable, not the name another`, async (t) => {
    await t.rejects(sanRead([6, 'spiffe://a/c'], san), UnreadableDer);
  });
}

t.test('two lists of alternative names are refused', async (t) => {
  const extensions = [sanOf([[6, 'spiffe://a/b']])];
  const { der } = await ca.issue({ extensions, san: [[6, 'spiffe://a/c']] }).catch(() => ({ der: undefined }));
  if (der) t.throws(() => readNames(der), UnreadableDer);
  else t.pass('the library does not make such a certificate');
});

t.test('any visible ASCII comes back as it was signed, in its order', async (t) => {
  const ascii = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 40,
  });
  const names = fc.array(fc.tuple(fc.constantFrom(1, 2, 6), ascii), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(names, async (san) => {
      const { uri, dns, email } = await sanRead(...san);
      const of = (tag: number) => san.filter(([one]) => one === tag).map(([, value]) => value);
      return isDeepStrictEqual({ uri, dns, email }, { uri: of(6), dns: of(2), email: of(1) });
    }),
    { numRuns: 60 },
  );
  t.pass('in every case');
});

t.test('changed bytes of a certificate are read, or refused as unreadable: nothing else is thrown', async (t) => {
  const { der } = await ca.issue({ san: [[6, 'spiffe://a/b']], subject: 'CN=a+OU=b,O=c' });
  const change = fc.record({ at: fc.nat(der.length - 1), to: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = Buffer.from(der);
      for (const { at, to } of changes) bytes[at] = to;
      try {
        readNames(bytes);
      } catch (error) {
        return error instanceof UnreadableDer;
      }
      return true;
    }),
    { numRuns: 400 },
  );
  t.throws(() => readDer(Buffer.concat([der, Buffer.of(0)])), UnreadableDer, 'bytes after the end');
  t.throws(() => readDer(Buffer.alloc(0)), UnreadableDer, 'nothing');
  t.throws(() => readDer(der.subarray(0, -1)), UnreadableDer, 'one byte less');
});

t.test('what Node reads of the same certificate agrees', async (t) => {
  const { cert } = await ca.issue({
    san: [
      [6, 'spiffe://td/ns/a'],
      [2, 'b.example'],
    ],
    subject: 'CN=x,OU=y',
  });
  const node = new X509Certificate(cert);
  const { san, subject } = readNames(node.raw);
  t.equal(node.subjectAltName, `URI:${san.uri[0]}, DNS:${san.dns[0]}`);
  t.equal(node.subject.split('\n').toReversed().join(','), nameText(subject));
});

t.test('names: several values of a part, several parts of a type, and what cannot be read', async (t) => {
  const subject = [{ CN: ['one'], OU: ['a'] }, { OU: ['b'] }, { O: ['x, y=z'] }, { L: ['a+\\'] }] as x509.JsonName;
  const { subject: name } = readNames((await ca.issue({ subject })).der);
  t.same(Object.fromEntries(attributesOf(name)), { CN: ['one'], OU: ['a', 'b'], O: ['x, y=z'], L: ['a+\\'] });
  t.equal(nameText(name), 'L=a\\+\\\\,O=x\\, y=z,OU=b,CN=one+OU=a');
});

/** A certificate body with this subject, for bytes that no library makes. */
function withSubject(...values: readonly Buffer[]): Buffer {
  const oid = derOf(0x06, Buffer.of(0x55, 0x04, 0x03));
  const parts = values.map((value) => derOf(0x31, derOf(0x30, Buffer.concat([oid, value]))));
  const nothing = derOf(0x30, Buffer.alloc(0));
  const fields = [derOf(0x02, Buffer.of(1)), nothing, nothing, nothing, derOf(0x30, Buffer.concat(parts)), nothing];
  return derOf(0x30, derOf(0x30, Buffer.concat(fields)));
}

for (const [name, value] of Object.entries({
  'a NUL': derOf(0x0c, Buffer.from('admin\0')),
  'a direction mark': derOf(0x0c, Buffer.from('ad\u202emin')),
  'bytes that are no UTF-8': derOf(0x0c, Buffer.of(0xff)),
  'a TeletexString': derOf(0x14, Buffer.from('admin')),
  'an UTF8String in parts': derOf(0x2c, derOf(0x0c, Buffer.from('admin'))),
})) {
  t.test(`an attribute with ${name} takes the whole type away, also the readable value beside it`, async (t) => {
    const { subject } = readNames(withSubject(derOf(0x0c, Buffer.from('plain')), value));
    t.equal(attributesOf(subject).get('CN'), undefined);
    t.equal(nameText(subject), undefined);
  });
}

t.test('a BMPString is a text', async (t) => {
  const { subject } = readNames(withSubject(derOf(0x1e, Buffer.from('0041', 'hex'))));
  t.same(attributesOf(subject).get('CN'), ['A']);
});

import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import t from 'tap';
import { UnreadableDer } from '../../src/x509/der.ts';
import { readLists } from '../../src/x509/revocation-list.ts';
import { serialOf, serialText } from '../../src/x509/serial.ts';
import { listPem, newCa } from '../support/client-certificates.ts';

const ca = await newCa('lists');
const other = await newCa('other');
const keyOf = ({ cert }: { readonly cert: string }) => new X509Certificate(cert).publicKey;
const read = (...pems: readonly string[]) => readLists(Buffer.from(pems.join('\n')));

t.test('the lists of a file, with serial numbers of certificates', async (t) => {
  const pairs = await Promise.all([ca.issue(), ca.issue(), ca.issue()]);
  const revoked = pairs.slice(1).map(({ serial }) => serial);
  const [one, two] = read(await ca.list({ revoked }), 'text between', await other.list());
  t.equal(one?.issuer, 'CN=lists');
  t.same(
    [...(one?.serials ?? [])].sort(),
    pairs
      .slice(1)
      .map(({ der }) => serialOf(der))
      .sort(),
  );
  t.same([...(two?.serials ?? [])], [], 'an empty one');
  t.equal((one?.nextUpdate ?? 0) - (one?.thisUpdate ?? 0), 7_200_000, 'two hours');
});

t.test('serial numbers of every form, zero and negative ones too, are those of certificates', async (t) => {
  for (const serial of [
    '00',
    '01',
    '7f',
    '80',
    'ff7f',
    '0080',
    '00ff01',
    'fb02',
    '0102030405060708090a0b0c0d0e0f1011121314',
  ]) {
    const { der } = await ca.issue({ serial });
    t.equal(serialOf(der), serial);
    const [list] = read(await ca.list({ revoked: [serial] }));
    t.ok(list?.serials.has(serial), serial);
  }
});

t.test('a serial number of more bytes than it needs is the same number', (t) => {
  for (const [long, short] of [
    ['0001', '01'],
    ['000080', '0080'],
    ['ffff80', '80'],
    ['0000', '00'],
    ['ffff', 'ff'],
  ] as const) {
    t.equal(serialText(Buffer.from(long, 'hex')), short, long);
  }
  t.end();
});

t.test('a list belongs to the key that signed it, whatever its hash, and to no other', async (t) => {
  for (const hash of ['SHA-256', 'SHA-384', 'SHA-512']) {
    const [list] = read(await ca.list({ hash }));
    t.equal(list?.isSignedBy(keyOf(ca)), true, hash);
    t.equal(list?.isSignedBy(keyOf(other)), false, hash);
  }
  const [forged] = read(await ca.list({ signer: other }));
  t.equal(forged?.isSignedBy(keyOf(ca)), false, 'the name of a CA, and the key of another');
});

t.test('what the gateway could not hold to is refused with its reason', async (t) => {
  const critical = new x509.Extension('2.5.29.28', true, Buffer.from('3000', 'hex'));
  const harmless = new x509.Extension('2.5.29.20', false, Buffer.from('020101', 'hex'));
  t.equal(read(await ca.list({ extensions: [harmless] })).length, 1, 'a number');
  t.throws(() => read('no list'), { message: /no PEM revocation list/ });
  const text = await ca.list({ extensions: [critical] });
  t.throws(() => read(text), { message: /critical extension 2\.5\.29\.28/ });
  t.throws(() => read('-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----'), UnreadableDer);
  const sha1 = await ca.list({ hash: 'SHA-1' });
  t.throws(() => read(sha1), { message: /signature algorithm 1\.2\.840\.10045\.4\.1 is not supported/ });
});

t.test('a list without an end is refused', async (t) => {
  const made = await x509.X509CrlGenerator.create({
    ...{ issuer: 'CN=lists', signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' }, signingKey: ca.keys.privateKey },
  });
  t.throws(() => read(listPem(Buffer.from(made.rawData))), { message: /no time of the next update/ });
});

t.test('changed bytes are read, or refused as unreadable, and never keep their signature', async (t) => {
  const pem = await ca.list({ revoked: ['0102'] });
  const der = Buffer.from(pem.replace(/-----[^-]*-----/g, ''), 'base64');
  const key = keyOf(ca);
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const bytes = Buffer.from(der);
      bytes[at] = (bytes[at] ?? 0) ^ by;
      try {
        const [list] = read(`-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----`);
        return list?.isSignedBy(key) === false;
      } catch (error) {
        return error instanceof UnreadableDer;
      }
    }),
    { numRuns: 300 },
  );
  t.pass('in every case');
});

t.test('a file with a block that is cut or has another label is refused as a whole', async (t) => {
  const list = await ca.list();
  for (const [name, second] of Object.entries({
    'without its end': list.slice(0, 150),
    'a label of its own': list.replaceAll('X509 CRL', 'X.509 CRL'),
    'its end has another label': list.replace('END X509 CRL', 'END CRL'),
  })) {
    t.throws(() => read(list, second), { message: /is cut, or does not begin/ }, name);
    t.throws(() => read(second, list), { message: /is cut, or does not begin/ }, `${name}, first`);
  }
  t.equal(read(list, ca.cert).length, 1, 'blocks of other kinds are none of them');
});

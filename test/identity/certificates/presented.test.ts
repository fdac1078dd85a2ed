import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import t from 'tap';
import { VerifiedCertificate } from '../../../src/identity/certificates/presented.ts';
import { serialOf } from '../../../src/x509/serial.ts';
import { type ClientCa, newCa, type Pair, selfSigned } from '../../support/client-certificates.ts';
import { shownTo, type Trusted, trustIn } from '../../support/shown-certificate.ts';

/* What OpenSSL says of a certificate in a real handshake, and what a reload takes from it later. */

const HOUR_MS = 3_600_000;
const [root, other] = await Promise.all([newCa('root'), newCa('other')]);
const middle = await root.below('middle');
const good = await root.issue({ san: [[6, 'spiffe://example.org/ns/a/sa/b']] });
const deep = await withChain(middle, 'CN=deep');
const now = Date.now();

function svid(usage: number): Promise<Pair> {
  const value = Buffer.of(0x03, 0x02, 0x00, usage);
  return root.issue({ san: [[6, 'spiffe://a/b']], extensions: [new x509.Extension('2.5.29.15', true, value)] });
}

function names(count: number): (readonly [number, string])[] {
  return Array.from({ length: count }, (_, at) => [2, `a${at}`]);
}

function attributes(count: number): x509.JsonName {
  return Array.from({ length: count }, (_, at) => ({ OU: [`a${at}`] }));
}

async function withChain(ca: ClientCa, subject: string): Promise<Pair> {
  const pair = await ca.issue({ subject });
  return { ...pair, cert: `${pair.cert}\n${ca.cert}` };
}

/** The code of the refusal at a time, or `good`; `none` = the client has shown none. */
async function verdict(
  trusted: Trusted,
  client: Partial<Pair>,
  { at = now, later = trusted }: { readonly at?: number; readonly later?: Trusted } = {},
): Promise<string> {
  const origin = trustIn(trusted);
  const shown = await shownTo(trusted, client, origin);
  if (!shown) return 'none';
  if (shown.kind === 'refused-certificate') return shown.denial.code;
  return shown.refusal(later === trusted ? origin : trustIn(later), at)?.code ?? 'good';
}

const CA = { ca: [root.cert] };
const lists = { ca: [root.cert, middle.cert], crl: [await root.list(), await middle.list()] };

for (const [name, trusted, client, expected] of [
  ['no certificate', CA, {}, 'none'],
  ['a good one', CA, good, 'good'],
  ['one of a CA below, which the client sends', CA, deep, 'good'],
  ['one of a CA below, which nobody sends', CA, await middle.issue(), 'certificate_unverified'],
  ['one of another CA', CA, await other.issue(), 'certificate_unverified'],
  ['one that signs itself', CA, await selfSigned(), 'certificate_unverified'],
  ['one that signs itself, with lists', lists, await selfSigned(), 'certificate_unverified'],
  ['one for servers', CA, await root.issue({ usages: ['1.3.6.1.5.5.7.3.1'] }), 'certificate_unverified'],
  ['an expired one', CA, await root.issue({ from: -2, until: -1 }), 'certificate_expired'],
  ['one of tomorrow', CA, await root.issue({ from: 1, until: 2 }), 'certificate_expired'],
  [
    'two SPIFFE ids',
    CA,
    await root.issue({
      san: [
        [6, 'spiffe://a/b'],
        [6, 'spiffe://a/c'],
      ],
    }),
    'certificate_unfit',
  ],
  [
    'a SPIFFE id and another URI',
    CA,
    await root.issue({
      san: [
        [6, 'https://a'],
        [6, 'spiffe://a/c'],
      ],
    }),
    'certificate_unfit',
  ],
  ['a SPIFFE id in capitals', CA, await root.issue({ san: [[6, 'SPIFFE://a/b']] }), 'certificate_unfit'],
  ['a SPIFFE id with `..`', CA, await root.issue({ san: [[6, 'spiffe://a/b/../c']] }), 'certificate_unfit'],
  ['a SPIFFE id without path', CA, await root.issue({ san: [[6, 'spiffe://a']] }), 'certificate_unfit'],
  ['a SPIFFE id and the right to sign certificates', CA, await svid(0x84), 'certificate_unfit'],
  ['a SPIFFE id and the right to sign lists', CA, await svid(0x82), 'certificate_unfit'],
  ['a SPIFFE id and a signature of its own', CA, await svid(0x80), 'good'],
  ['256 names', CA, await root.issue({ san: names(256) }), 'good'],
  ['257 names', CA, await root.issue({ san: names(257) }), 'certificate_unfit'],
  ['64 attributes', CA, await root.issue({ subject: attributes(64) }), 'good'],
  ['65 attributes', CA, await root.issue({ subject: attributes(65) }), 'certificate_unfit'],
  ['a name of 17 KB', CA, await root.issue({ san: [[6, `https://${'a'.repeat(17_000)}`]] }), 'certificate_unfit'],
  ['a NUL in a name', CA, await root.issue({ san: [[2, 'a.example\0']] }), 'certificate_unfit'],
  [
    'two other URIs',
    CA,
    await root.issue({
      san: [
        [6, 'https://a'],
        [6, 'https://b'],
      ],
    }),
    'good',
  ],
  ['a good one, with lists', lists, good, 'good'],
  ['one of a CA below, with lists', lists, deep, 'good'],
  ['a revoked one', { ...CA, crl: [await root.list({ revoked: [good.serial] })] }, good, 'certificate_revoked'],
  [
    'a list past its time',
    { ...CA, crl: [await root.list({ from: -2, until: -1 })] },
    good,
    'certificate_status_unknown',
  ],
  ['a list of tomorrow', { ...CA, crl: [await root.list({ from: 1, until: 2 })] }, good, 'certificate_status_unknown'],
  [
    'no list of the CA below',
    { ca: [root.cert, middle.cert], crl: [await root.list()] },
    deep,
    'certificate_status_unknown',
  ],
] as const) {
  t.test(`in the handshake: ${name}`, async (t) => t.equal(await verdict(trusted, client), expected));
}

const replaced = await root.again();
for (const [name, trusted, client, more, expected] of [
  ['an hour later it has expired', CA, good, { at: now + HOUR_MS + 2000 }, 'certificate_expired'],
  ['its last second', CA, good, { at: now + HOUR_MS - 60_000 }, 'good'],
  ['the clock is before it', CA, good, { at: now - 2 * HOUR_MS }, 'certificate_expired'],
  ['the same CAs read again', CA, good, { later: { ca: [root.cert] } }, 'good'],
  ['another CA beside its own', CA, good, { later: { ca: [other.cert, root.cert] } }, 'good'],
  ['another CA in the place of its own', CA, good, { later: { ca: [other.cert] } }, 'certificate_unverified'],
  ['its CA renewed with the same key', CA, good, { later: { ca: [replaced] } }, 'good'],
  [
    'a CA of its name with another key',
    CA,
    good,
    { later: { ca: [(await newCa('root')).cert] } },
    'certificate_unverified',
  ],
  [
    'its CA renewed, and that has expired',
    CA,
    good,
    { later: { ca: [await root.again(-2, -1)] } },
    'certificate_expired',
  ],
  ['the root of the CA below it stays', CA, deep, { later: { ca: [root.cert] } }, 'good'],
  ['the CA below it alone, without its root', CA, deep, { later: { ca: [middle.cert] } }, 'certificate_unverified'],
  [
    'it is revoked',
    CA,
    good,
    { later: { ...CA, crl: [await root.list({ revoked: [good.serial] })] } },
    'certificate_revoked',
  ],
  ['another is revoked', CA, good, { later: { ...CA, crl: [await root.list({ revoked: ['01'] })] } }, 'good'],
  [
    'the CA above it is revoked',
    lists,
    deep,
    { later: { ...lists, crl: [await root.list({ revoked: [serialOfCa(middle)] }), await middle.list()] } },
    'certificate_revoked',
  ],
  [
    'a list that says nothing of its CA',
    CA,
    deep,
    { later: { ca: [root.cert], crl: [await root.list()] } },
    'certificate_status_unknown',
  ],
  [
    'its list has ended',
    lists,
    good,
    { at: now + HOUR_MS - 60_000, later: { ...CA, crl: [await root.list({ until: 0.5 })] } },
    'certificate_status_unknown',
  ],
] as const) {
  t.test(`on an open connection: ${name}`, async (t) => t.equal(await verdict(trusted, client, more), expected));
}

for (const [name, pem] of Object.entries({
  'a certificate that is cut': other.cert.slice(0, 200),
  'a certificate of another label': other.cert.replaceAll('CERTIFICATE', 'X509 CERTIFICATE'),
})) {
  t.test(`a CA file with ${name} is refused as a whole`, async (t) => {
    t.throws(() => trustIn({ ca: [root.cert, pem] }), { message: /is cut, or does not begin/ });
    t.throws(() => trustIn({ ca: [pem, root.cert] }), { message: /is cut, or does not begin/ });
  });
}

for (const serial of ['00', 'fb', '80', '0080', '8000000001']) {
  t.test(`the serial number ${serial} in a list revokes the certificate`, async (t) => {
    const client = await root.issue({ serial });
    const revoked = (list: string) => verdict(CA, client, { later: { ...CA, crl: [list] } });
    t.equal(await revoked(await root.list({ revoked: [serial] })), 'certificate_revoked');
    t.equal(await revoked(await root.list({ revoked: ['05', '7f'] })), 'good');
  });
}

/* What a client sends beside its own certificate is a claim: only what a CA of the file has signed counts. */

const ending = await root.below('ending', 0.5);
const endingLater = await ending.issue({ until: 2 });
const endingSoon = await middle.issue({ until: 0.5 });
const [fakeOfEnding, fakeOfMiddle] = [(await newCa('ending')).cert, (await newCa('middle')).cert];

/** Only OpenSSL reads it so late that a client can send it. */
function unreadableTime(pem: string): string {
  const { raw } = new X509Certificate(pem);
  const der = Buffer.from(raw.toString('latin1').replaceAll(/\r\d{12}Z/g, '\rABCDEFGHIJKLZ'), 'latin1');
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

const ends = { ca: [root.cert, ending.cert] };
const below = { ca: [root.cert, middle.cert] };
const [noTimeOfEnding, noTimeOfMiddle] = [unreadableTime(fakeOfEnding), unreadableTime(fakeOfMiddle)];

for (const [name, trusted, pair, sent, expected] of [
  ['of the name of its CA, which the file has', ends, endingLater, [fakeOfEnding], 'good'],
  ['of that name, without a time', ends, endingLater, [noTimeOfEnding], 'good'],
  ['of that name before its CA', CA, endingLater, [fakeOfEnding, ending.cert], 'certificate_unverified'],
  ['of that name after its CA', CA, endingLater, [ending.cert, fakeOfEnding], 'good'],
  ['of that name, without a time, before its CA', CA, endingLater, [noTimeOfEnding, ending.cert], 'good'],
  ['of that name, without a time, and it ends itself', below, endingSoon, [noTimeOfMiddle], 'good'],
  ['without a time before its CA, and it ends itself', CA, endingSoon, [noTimeOfMiddle, middle.cert], 'good'],
] as const) {
  t.test(`the real end counts with a certificate sent beside it ${name}`, async (t) => {
    const client = { ...pair, cert: [pair.cert, ...sent].join('\n') };
    t.equal(await verdict(trusted, client), expected);
    const later = expected === 'good' ? 'certificate_expired' : expected;
    t.equal(await verdict(trusted, client, { at: now + 0.6 * HOUR_MS }), later);
  });
}

t.test('the end of a list is that of the CA that has signed, whatever is sent', async (t) => {
  const crl = [await root.list({ until: 2 }), await ending.list({ until: 0.25 })];
  const trusted = { ca: [root.cert, ending.cert], crl };
  const client = { ...endingLater, cert: `${endingLater.cert}\n${fakeOfEnding}` };
  t.equal(await verdict(trusted, client), 'good');
  t.equal(await verdict(trusted, client, { at: now + 0.3 * HOUR_MS }), 'certificate_status_unknown');
});

t.test('a CA that two CAs have signed is good as long as one of the two is', async (t) => {
  const short = await newCa('short');
  const crossed = await short.sign(middle, 0.5);
  const client = await middle.issue();
  const ca = [short.cert, root.cert, crossed, middle.cert];
  t.equal(await verdict({ ca }, client), 'good');
  t.equal(await verdict({ ca }, client, { at: now + 0.6 * HOUR_MS }), 'good');
});

function serialOfCa({ cert }: ClientCa): string {
  return serialOf(new X509Certificate(cert).raw);
}

t.test('lists that no CA of the file has signed are refused as a whole', async (t) => {
  const forged = await root.list({ signer: other });
  t.throws(() => trustIn({ ...CA, crl: [forged] }), {
    message: /no CA of the CA file has signed its list of `CN=root`/,
  });
  t.throws(() => trustIn({ ca: [] }), { message: /no PEM certificate/ });
});

t.test('a certificate says what its claims are', async (t) => {
  const shown = await shownTo(CA, good);
  if (!(shown instanceof VerifiedCertificate)) throw new TypeError('not verified');
  const claims = Object.fromEntries(shown.claims);
  t.equal(claims.spiffe_id, 'spiffe://example.org/ns/a/sa/b');
  t.same(
    claims.spiffe,
    new Map<string, unknown>([
      ['trust_domain', 'example.org'],
      ['path', '/ns/a/sa/b'],
      [
        'segments',
        new Map([
          ['1', 'ns'],
          ['2', 'a'],
          ['3', 'sa'],
          ['4', 'b'],
        ]),
      ],
    ]),
  );
  t.same(claims.subject, new Map([['CN', 'client']]));
  t.equal(claims.subject_dn, 'CN=client');
  t.equal(claims.issuer_dn, 'CN=root');
  t.match(claims.fingerprint, /^[0-9a-f]{64}$/);
  t.equal(shown.subject, 'spiffe://example.org/ns/a/sa/b');
});

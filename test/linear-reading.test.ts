import { fileURLToPath } from 'node:url';
import { analyse } from 'scslre';
import t from 'tap';
import { remoteOf } from '../src/audit/remote.ts';
import { textOfScalar } from '../src/config/yaml/scalar.ts';
import { withoutSecrets } from '../src/console/server/questions/policy-secrets.ts';
import { readClaims } from '../src/identity/claims.ts';
import { readClaimTree } from '../src/identity/issuers/claim-tree.ts';
import { readFacts } from '../src/rest/body/facts/read.ts';
import { readAnswerHead } from '../src/rest/http1/response-head.ts';
import { pointIdOf } from '../src/rest/tenants/point-id.ts';
import { oidOf, readDer, UnreadableDer } from '../src/x509/der.ts';
import { condition, made, tenancyOf } from './rest/tenants/made.ts';
import { patternsIn, readTexts, scan } from './support/import-scan.ts';
import { timesDearer } from './support/reference.ts';

/*
 * Text that others choose is read in time of the order of its length. Two ways lead elsewhere: a regular expression of which two parts
 * can take the same characters, and a number of any length. Both are looked for in the source, and readers are tried on such texts.
 */
const TEXTS = readTexts(fileURLToPath(new URL('../src', import.meta.url)));

/** Files whose expressions read nothing that comes over the network: files of the operator, or of the gateway itself. */
const LOCAL: ReadonlySet<string> = new Set([
  ...['cli/init/compose-service.ts', 'cli/init/host-plan.ts'],
  ...['console/server/strip-types.ts', 'console/server/vendor.ts'],
]);

/** Regular expressions for which a checker knows a text of one character, many times, that takes them more than linear time. */
function slowPatterns(texts: Readonly<Record<string, string>>): string[] {
  return Object.entries(texts).flatMap(([path, text]) =>
    patternsIn(text).flatMap((pattern) => (analyse(pattern).reports.length > 0 ? `${path}: ${pattern}` : [])),
  );
}

t.test('no regular expression takes more than linear time for one character many times', async (t) => {
  const found = slowPatterns(TEXTS);
  t.same(
    found.filter((one) => !LOCAL.has(one.slice(0, one.indexOf(':')))),
    [],
  );
  for (const path of LOCAL)
    t.ok(
      found.some((one) => one.startsWith(path)),
      `${path} is still an exception`,
    );
  t.ok(Object.values(TEXTS).flatMap(patternsIn).length > 250, 'nearly all are found');
  const broken = [
    String.raw`const found = /^\+?0*(\d+)$/.exec(text);`,
    String.raw`const FOR = /^(?:[^"]*;)?\s*for=("?)([^";]*)\1\s*(?:;|$)/i;`,
    String.raw`text.replace(/\n+$/, '')`,
    'return /^(a+)+$/.test(text);',
  ];
  for (const line of broken) t.equal(slowPatterns({ 'a.ts': line }).length, 1, `is found: ${line}`);
  const kept = [String.raw`return /^\+?\d+$/.test(text);`, `// Not /^(a+)+$/.`, `const text = '= /^(a+)+$/';`];
  for (const line of kept) t.same(slowPatterns({ 'a.ts': line }), [], `is none: ${line}`);
});

/** Lines with `BigInt` of anything but a number of the gateway's own, and the reason why it is short. */
const BIG: Readonly<Record<string, readonly [lines: number, reason: string]>> = {
  'json/integer.ts': [1, 'its owner: of no more characters than 64 bits take'],
  'rest/tenants/point-id.ts': [1, 'the length is looked at before'],
  'rest/response/filter-collection.ts': [1, 'at most 20 digits'],
  'explain/message/from-json.ts': [1, 'at most 20 digits'],
  'config/yaml/scalar.ts': [1, 'at most 64 digits'],
  'config/policy/issuers/key-set.ts': [1, 'hexadecimal digits take linear time'],
  'policy/tenants/settings.ts': [2, 'of a number'],
  'cli/demo/grpc/form.ts': [1, 'of a number'],
  'json/wasm-code.ts': [1, 'of a number'],
  'json/depth-kernel.ts': [1, 'of a number'],
  'grpc/tenants/change-answer.ts': [1, 'of a byte; a varint has ten at most'],
  'x509/der.ts': [1, 'of a byte; at most 128 bits'],
};

t.test('a number of any length becomes no BigInt', async (t) => {
  for (const { path, code } of scan(TEXTS)) {
    const found = code.split('\n').filter((line) => /\bBigInt\(/.test(line));
    t.equal(found.length, BIG[path]?.[0] ?? 0, `${path}: ${found.join(' ')}`);
  }
});

const utf8 = (text: string) => Buffer.from(text);
const KEYED = { tenancy: tenancyOf(condition({ shard: { key: 'acme', fallback: undefined } })) };
const DEPTH = { maxDepth: 64 };
const digits = (scale: number) => '9'.repeat(150_000 * scale);
const zeros = (scale: number) => '0'.repeat(2000 * scale);
const blanks = (scale: number) => ' '.repeat(2000 * scale);
const PEER = '192.0.2.1';
const ORG = new Set(['org']);

const forwarded = (value: string) =>
  remoteOf({ headers: ['forwarded', value], remote: PEER }, { trustedProxies: 0, trustForwardedHeaders: true });
const answer = (field: string) =>
  readAnswerHead(Buffer.from(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n`, 'latin1'), 'GET', 1_000_000);
const upsert = (payload: string) => made('points.upsert', `{"points":[{"id":1,"vector":[1],"payload":${payload}}]}`);
const scroll = (body: string) => made('points.scroll', body, KEYED);
const facts = (body: string) => readFacts('points.query', utf8(body), DEPTH);
const claims = (text: string) => readClaims(utf8(text), undefined, ORG);

/** An object identifier with one number of so many bytes. */
function identifier(bytes: number): Buffer {
  const long = Buffer.alloc(4 + bytes, 0xff);
  long.writeUInt16BE(0x0682);
  long.writeUInt16BE(bytes, 2);
  long[long.length - 1] = 1;
  return long;
}

function dotted(der: Buffer): string | undefined {
  try {
    return oidOf(readDer(der));
  } catch (error) {
    if (error instanceof UnreadableDer) return undefined;
    throw error;
  }
}

/** A text that grows with `scale`, and its reader. */
function reader<Text>(name: string, textOf: (scale: number) => Text, read: (text: Text) => unknown) {
  return [name, (scale: number) => read.bind(undefined, textOf(scale))] as const;
}

const READERS = [
  reader('zeros before a point id in a path', (s) => `${zeros(s)}x`, pointIdOf),
  reader('zeros behind a sign in a path', (s) => `+${zeros(s)}x`, pointIdOf),
  reader('digits as a point id in a path', digits, pointIdOf),
  reader(
    'digits as a point id in a body',
    (s) => `{"points":[${digits(s)}]}`,
    (body) => made('points.delete', body),
  ),
  reader('digits in the field of the tenant', (s) => `{"tenant":${digits(s)}}`, upsert),
  reader('digits behind a minus in the field of the tenant', (s) => `{"tenant":-${digits(s)}}`, upsert),
  reader(
    'digits in the field of a payload that is set',
    (s) => `{"payload":{"tenant":${digits(s)}},"points":[1]}`,
    (body) => made('points.set_payload', body),
  ),
  reader('digits as a shard key', (s) => `{"shard_key":${digits(s)}}`, scroll),
  reader('digits in a list of shard keys', (s) => `{"shard_key":["acme",${digits(s)}]}`, scroll),
  reader(
    'digits as a shard key to fall back to',
    (s) => `{"shard_key":{"target":"acme","fallback":${digits(s)}}}`,
    scroll,
  ),
  reader('digits as a limit', (s) => `{"limit":${digits(s)}}`, facts),
  reader('digits as a limit below nothing', (s) => `{"limit":-${digits(s)}}`, facts),
  reader('digits as the end of a token', (s) => `{"exp":${digits(s)}}`, claims),
  reader('digits as the beginning of a token', (s) => `{"iat":${digits(s)}}`, claims),
  reader('digits as a tenant of a token', (s) => `{"org":${digits(s)}}`, claims),
  reader(
    'digits in `value_exists`',
    (s) => `{"value_exists":{"collection":"a","matches":[{"key":"a","value":${digits(s)}}]}}`,
    claims,
  ),
  reader(
    'digits in a token of an issuer',
    (s) => utf8(`{"org":${digits(s)}}`),
    (bytes) => readClaimTree(bytes),
  ),
  reader('digits in a file of options', digits, (text) => textOfScalar(text, 0)),
  reader('blanks behind an address', (s) => `for=a${blanks(s)}"`, forwarded),
  reader('blanks before an address', (s) => `${blanks(s)}"`, forwarded),
  reader('blanks behind an address in quotes', (s) => `for="a"${blanks(s)}x`, forwarded),
  reader('parameters before an address', (s) => `${'a=1; '.repeat(400 * s)}"`, forwarded),
  reader('blanks in a field of an answer', (s) => `a:${blanks(s)}\0`, answer),
  reader(
    'lines in a secret of a policy',
    (s) => `signing_keys: [{id: one, secret: "a${'\n'.repeat(8000 * s)}b"}]`,
    withoutSecrets,
  ),
  reader('a long number in an object identifier', (s) => identifier(16_000 * s), dotted),
];

for (const [name, at] of READERS) {
  t.test(`${name}: four times the length takes less than eight times the work`, async (t) => {
    const times = timesDearer(at(4), at(1));
    t.ok(times < 8, `${times.toFixed(1)} times`);
  });
}

t.test('a long number takes no more work where it is looked at than elsewhere', async (t) => {
  const elsewhere = (body: string) => () => made('points.scroll', body);
  for (const [name, looked, passed] of [
    ['the field of the tenant', () => upsert(`{"tenant":${digits(2)}}`), () => upsert(`{"other":${digits(2)}}`)],
    ['the shard key', () => scroll(`{"shard_key":${digits(2)}}`), elsewhere(`{"shard_key":${digits(2)}}`)],
    ['the id', () => made('points.delete', `{"points":[${digits(2)}]}`), elsewhere(`{"limit":${digits(2)}}`)],
  ] as const) {
    const times = timesDearer(looked, passed);
    t.ok(times < 6, `${name}: ${times.toFixed(1)} times`);
  }
});

const IDS: readonly (readonly [text: string, id: bigint | string | undefined])[] = [
  ['7', 7n],
  ['0', 0n],
  ['007', 7n],
  ['+007', 7n],
  ['000', 0n],
  [`${'0'.repeat(5000)}18446744073709551615`, 2n ** 64n - 1n],
  ['18446744073709551616', undefined],
  ['99999999999999999999', undefined],
  ['', undefined],
  ['+', undefined],
  ['++7', undefined],
  ['-7', undefined],
  ['0x7', undefined],
  ['7 ', undefined],
  ['0000000000000000000000000000000a', '00000000-0000-0000-0000-00000000000a'],
  ['00000000000000000000000000000007', 7n],
];

t.test('a point id in a path is read as upstream reads it', async (t) => {
  for (const [text, id] of IDS) t.equal(pointIdOf(text), id, `\`${text.slice(-30)}\` of ${text.length}`);
});

t.test('what is read beside it: addresses, fields, numbers of identifiers', async (t) => {
  t.equal(forwarded(`a=1;  for=192.0.2.7${blanks(1)}; proto=https`), '192.0.2.7');
  t.equal(forwarded(`For="192.0.2.7:47" ${blanks(1)};by=x`), '192.0.2.7');
  t.equal(forwarded('for="192.0.2.7"x'), PEER);
  const read = answer(`a: \t b c \t`);
  t.same(typeof read === 'object' && read.headers, ['a', 'b c']);
  t.same(answer('a:').valueOf(), { ...Object(answer('a: ')), length: Object(answer('a:')).length });
  t.equal(answer('a:\x01'), 'broken');
  t.equal(dotted(Buffer.from('06032a0304', 'hex')), '1.2.3.4');
  t.equal(dotted(Buffer.from(`06146983${'ff'.repeat(17)}7f`, 'hex')), `2.25.${2n ** 128n - 1n}`, 'as long as a UUID');
  t.equal(dotted(Buffer.from(`061569${'ff'.repeat(19)}7f`, 'hex')), undefined, 'longer than a UUID');
});

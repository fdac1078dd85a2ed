import fc from 'fast-check';
import t from 'tap';
import { readClaims } from '../../src/identity/claims.ts';
import { runs } from '../support/generators/runs.ts';

const utf8 = (text: string) => Buffer.from(text);
const MANAGE = { kind: 'global', mode: 'm' };
const NOTHING = {
  exp: undefined,
  access: MANAGE,
  sub: undefined,
  subject: undefined,
  jti: undefined,
  issuedAt: undefined,
  valueExists: undefined,
  tenants: new Map(),
  faults: '',
};
const list = (...entries: readonly [string, string][]) => ({ kind: 'list', modes: new Map(entries) });
const BOTH_FAULTS =
  "access[1].collection: Collection name should be uniqueaccess[1].payload: The 'payload' constraint is deprecated and should not be used";

const DECODABLE: readonly (readonly [claims: string | Buffer, expected: object])[] = [
  ['{}', {}],
  ['{"exp":0}', { exp: 0 }],
  ['{"exp":18446744073709551615}', { exp: 2 ** 64 }],
  ['{"exp":5,"subject":"me","sub":"you"}', { exp: 5, subject: 'me', sub: 'you' }],
  ['{"subject":null,"sub":null,"value_exists":null}', {}],
  ['{"access":"r"}', { access: { kind: 'global', mode: 'r' } }],
  ['{"acce\\u0073s":"\\u0072"}', { access: { kind: 'global', mode: 'r' } }],
  ['{"access":[]}', { access: list() }],
  ['{"access":[{"collection":"__proto__","access":"prw"}]}', { access: list(['__proto__', 'prw']) }],
  ['{"access":[{"access":"rw","x":[{}],"collection":"a","x":1,"payload":null}]}', { access: list(['a', 'rw']) }],
  [
    '{"access":[{"collection":"a","access":"r"},{"collection":"a","access":"rw","payload":{}}]}',
    { access: list(['a', 'r']), faults: BOTH_FAULTS },
  ],
  ['{"nbf":"x","iat":{},"jti":[],"aud":{"a":1},"iss":[1]}', {}],
  ['{"iat":1,"iat":2,"jti":1,"jti":2,"x":1,"x":2}', { issuedAt: 2 }],
  ['{"iat":"1","jti":"a","jti":"b"}', { jti: 'b' }],
  ['{"iat":1.5,"jti":null}', { issuedAt: 1.5 }],
  [Buffer.from('{"x":"\xff\xfe","iat":"\\ud800","y":{"\\udc00":"\xc3"}}', 'latin1'), {}],
  [`{"x":${'['.repeat(3000)}${']'.repeat(3000)}}`, {}],
  ['{"value_exists":{"matches":[],"collection":"a/b","y":1}}', { valueExists: { collection: 'a/b', matches: [] } }],
  [
    '{"value_exists":{"collection":"a","matches":[{"key":"a.\\"b c\\"[0][].d-e","value":true,"x":1},{"key":"é","value":-9223372036854775808}]}}',
    {
      valueExists: {
        collection: 'a',
        matches: [
          { key: 'a."b c"[0][].d-e', value: true },
          { key: 'é', value: -9223372036854775808n },
        ],
      },
    },
  ],
];

for (const [claims, expected] of DECODABLE) {
  t.same(
    readClaims(utf8(claims as string)),
    { ...NOTHING, hasAccess: 'access' in expected, ...expected },
    `decodable: ${String(claims).slice(0, 70)}`,
  );
}

const entry = (text: string) => `{"access":[${text}]}`;
const matchOf = (text: string) => `{"value_exists":{"collection":"a","matches":[${text}]}}`;
const keyOf = (key: string) => matchOf(JSON.stringify({ key, value: 1 }));

const UNDECODABLE: readonly (string | Buffer)[] = [
  ...['', ' ', '[]', '"r"', 'null', '1', '{', '{}x', '{},', '{"a":1,}', "{'a':1}", '\ufeff{}', '{"x":01}', '{"x":NaN}'],
  ...['-0', '-1', '1.0', '1e3', '9e9', 'null', 'true', '"5"', '[5]', '{}', '18446744073709551616'].map(
    (exp) => `{"exp":${exp}}`,
  ),
  ...[
    'null',
    '1',
    'true',
    '"w"',
    '"rw"',
    '"prw"',
    '"M"',
    '""',
    '" r"',
    '{}',
    '{"r":null}',
    '["r"]',
    '[[]]',
    '[null]',
  ].map((access) => `{"access":${access}}`),
  entry('{"collection":"a"}'),
  entry('{"access":"r"}'),
  entry('{"collection":"a","access":"m"}'),
  entry('{"collection":"a","access":null}'),
  entry('{"collection":null,"access":"r"}'),
  entry('{"collection":"a","collection":"a","access":"r"}'),
  entry('{"collection":"a","access":"r","access":"r"}'),
  entry('{"collection":"a","access":"r","payload":null,"payload":null}'),
  entry('{"collection":"\\ud800","access":"r"}'),
  entry('["a","r"]'),
  Buffer.from(entry('{"collection":"\xff","access":"r"}'), 'latin1'),
  Buffer.from(entry('{"collection":"a","access":"r","x":"\xff"}'), 'latin1'),
  Buffer.from('{"\xff":1}', 'latin1'),
  '{"\\ud800":1}',
  ...['exp', 'access', 'sub', 'subject', 'value_exists', 'aud', 'iss', 'nbf'].map((claim) => {
    const value = claim === 'exp' || claim === 'nbf' ? '5' : claim === 'value_exists' ? 'null' : '"r"';
    return `{"${claim}":${value},"\\u${claim.charCodeAt(0).toString(16).padStart(4, '0')}${claim.slice(1)}":${value}}`;
  }),
  ...['sub', 'subject'].flatMap((claim) => ['1', '[]', '{}', 'true', '"\\ud800"'].map((x) => `{"${claim}":${x}}`)),
  '{"nbf":{}}',
  '{"aud":"\\ud800"}',
  Buffer.from('{"iss":"\xff"}', 'latin1'),
  ...['1', '"a"', '{}', '[]', '{"collection":"a"}', '{"matches":[]}', '{"collection":1,"matches":[]}'].map(
    (value) => `{"value_exists":${value}}`,
  ),
  '{"value_exists":{"collection":"a","matches":null}}',
  matchOf('1'),
  matchOf('{"key":"a"}'),
  matchOf('{"value":1}'),
  matchOf('{"key":"a","key":"a","value":1}'),
  ...['null', '1.0', '1e0', '-0', '[]', '{}', '9223372036854775808', '-9223372036854775809'].map((value) =>
    matchOf(`{"key":"a","value":${value}}`),
  ),
  ...['', '.', 'a.', '.a', 'a..b', 'a b', 'a[', 'a]', 'a[x]', 'a[-1]', '[0]', '"a', 'a"b"', '"a\\"', 'a/b'].map(keyOf),
];

for (const claims of UNDECODABLE) {
  t.equal(readClaims(utf8(claims as string)), undefined, `undecodable: ${String(claims).slice(0, 70)}`);
}

t.test('bytes of any kind are read without a throw', async (t) => {
  const word = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"access"',
    '"exp"',
    ':',
    ',',
    '"r"',
    '5',
    '-',
    '"collection"',
    '\\',
    '"',
  );
  const text = fc.array(word, { maxLength: 30 }).map((words) => utf8(words.join('')));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), text), (bytes) => {
      readClaims(bytes);
    }),
    { numRuns: runs(2000) },
  );
  t.pass('it holds');
});

t.test('what JSON.stringify writes as a list is read as that list', async (t) => {
  const mode = fc.constantFrom('r', 'rw', 'prw');
  const entries = fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme' }), mode), { selector: ([name]) => name });
  fc.assert(
    fc.property(entries, (modes) => {
      const access = modes.map(([collection, mode]) => ({ collection, access: mode }));
      const claims = readClaims(utf8(JSON.stringify({ access })));
      const read = claims?.access.kind === 'list' ? [...claims.access.modes] : undefined;
      return claims?.faults === '' && JSON.stringify(read) === JSON.stringify(modes);
    }),
  );
  t.pass('it holds');
});

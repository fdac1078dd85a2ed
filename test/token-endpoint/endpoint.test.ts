import t from 'tap';
import type { RingKeys } from '../../src/identity/key-ring.ts';
import { policyOf } from '../../src/policy/settings.ts';
import { KEYS } from '../support/gateway.ts';
import { claimsIn, FORM_HEADERS, formOf, JWT, NOW_SECONDS, openMint } from '../support/minting.ts';
import { namedKey } from '../support/named-keys.ts';
import { makeToken } from '../support/tokens.ts';

/** The token endpoint: which source gets which scope, which form is refused how, and how many. */

const NAMED = {
  list: [
    { collection: 'docs', access: 'rw' as const },
    { collection: 'more', access: 'r' as const },
    { collection: 'points', access: 'prw' as const },
  ],
  patterns: [{ collections: ['docs*'], access: 'rw' as const }],
  counting: [{ collections: ['docs'], operations: ['points.count'] }],
  global: 'r' as const,
  all: 'm' as const,
};
const text = (id: string): string => `qgw_${id}_secret`;
const keys: RingKeys = {
  namedKeys: Object.entries(NAMED).map(([id, access]) => namedKey(id, text(id), { access })),
  exchangedKeys: ['read_only_api_key'],
  rules: policyOf('enforce', [{ id: 'reads', mode: 'enforce', subjects: ['reader'], access: 'r' }]).rules,
};
const SOURCES = {
  ...Object.fromEntries(Object.keys(NAMED).map((id) => [id, text(id)])),
  token: makeToken({ access: NAMED.list }),
  'token m': makeToken({}),
  'token r by rule': makeToken({ access: NAMED.list, subject: 'reader' }),
  'read-only key': KEYS.readOnly,
} as Readonly<Record<string, string>>;

/** What each source gets for each scope; `-` = `invalid_scope`. What stands there is the bound of the token. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  //                 none        docs=r    docs=rw    docs=prw    other=r    more=rw    points=r   points=prw r    m
  list: ['as it is', 'docs=r', 'docs=rw', 'docs=prw', '-', '-', '-', 'points=prw', '-', '-'],
  patterns: ['source', 'docs=r', 'docs=rw', 'docs=prw', '-', '-', '-', '-', '-', '-'],
  counting: ['source', 'docs=r', 'docs=rw', 'docs=prw', '-', '-', '-', '-', '-', '-'],
  global: ['r', 'docs=r', '-', '-', 'other=r', '-', 'points=r', '-', 'r', '-'],
  all: ['m', 'docs=r', 'docs=rw', 'docs=prw', 'other=r', 'more=rw', 'points=r', 'points=prw', 'r', 'm'],
  token: ['as it is', 'docs=r', 'docs=rw', 'docs=prw', '-', '-', '-', 'points=prw', '-', '-'],
  'token m': ['m', 'docs=r', 'docs=rw', 'docs=prw', 'other=r', 'more=rw', 'points=r', 'points=prw', 'r', 'm'],
  'token r by rule': ['docs=r more=r points=pr', 'docs=r', '-', '-', '-', '-', '-', '-', '-', '-'],
  'read-only key': ['r', 'docs=r', '-', '-', 'other=r', '-', 'points=r', '-', 'r', '-'],
};
const SCOPES = [undefined, 'docs=r', 'docs=rw', 'docs=prw', 'other=r', 'more=rw', 'points=r', 'points=prw', 'r', 'm'];
const AS_IT_IS = NAMED.list.map(({ collection, access }) => `${collection}=${access}`).join(' ');

t.test('each source gets what it has, and less if it asks for less', async (t) => {
  const mint = openMint(keys);
  for (const [name, expected] of Object.entries(TABLE)) {
    const given: string[] = [];
    for (const scope of SCOPES) {
      const { status, error, token, body } = await mint.exchange(SOURCES[name] ?? '', { scope });
      given.push(status === 200 ? shownBound(token) : error === 'invalid_scope' ? '-' : `${error}`);
      if (status === 200) t.equal(body.scope, scope, 'the scope is told as it was asked for');
    }
    t.strictSame(
      given,
      expected.map((cell) => (cell === 'as it is' ? AS_IT_IS : cell)),
      name,
    );
  }
});

/** The bound of a token, in the form of a scope. */
function shownBound(token: string): string {
  const { access, qdrant_gateway_source: source } = claimsIn(token) as {
    access: string | { collection: string; access: string }[];
    qdrant_gateway_source: { bound: string | [string, string][] };
  };
  const { bound } = source;
  if (typeof bound !== 'string') return bound.map((pair) => pair.join('=')).join(' ');
  if (bound !== 'claim') return bound;
  return typeof access === 'string' ? access : access.map((one) => `${one.collection}=${one.access}`).join(' ');
}

t.test('names of any characters are percent-encoded, and no name is a pattern', async (t) => {
  const mint = openMint(keys);
  const cases: [string, string, unknown][] = [
    ['a blank and an umlaut', 'm%C3%BC%20x=r', [{ collection: 'mü x', access: 'r' }]],
    ['an equals sign', 'a=b=rw', [{ collection: 'a=b', access: 'rw' }]],
    ['an escaped star', 'docs%2A=r', [{ collection: 'docs*', access: 'r' }]],
    [
      'two',
      'a=r b=prw',
      [
        { collection: 'a', access: 'r' },
        { collection: 'b', access: 'prw' },
      ],
    ],
  ];
  for (const [name, scope, access] of cases) {
    const { token } = await mint.exchange(text('all'), { scope });
    t.strictSame(claimsIn(token).access, access, name);
  }
  const wrong = [
    'docs',
    'docs=',
    '=r',
    'docs=x',
    'docs=pr',
    'docs=m',
    'docs*=r',
    '*=r',
    'a=r a=rw',
    'r m',
    'a=r r',
    ' a=r',
  ];
  for (const scope of [...wrong, 'a=r ', 'a=r  b=r', 'a%=r', 'a%FF=r', 'a"=r', 'a\\=r', 'ä=r', 'a=r\tb=r']) {
    t.match(await mint.exchange(text('all'), { scope }), { status: 400, error: 'invalid_scope', token: '' }, scope);
  }
  t.match(await mint.exchange(text('all'), { scope: '' }), { status: 200 }, 'an empty parameter is absent');
});

const good = formOf({ subject_token: text('all') });
const FORMS: readonly [name: string, body: string | Uint8Array, error: string, description: RegExp][] = [
  ['no grant', formOf({ subject_token: 'x', grant_type: undefined }), 'invalid_request', /^grant_type: .*missing/],
  ['an empty grant', formOf({ subject_token: 'x', grant_type: '' }), 'invalid_request', /^grant_type: .*missing/],
  ['another grant', formOf({ subject_token: 'x', grant_type: 'password' }), 'unsupported_grant_type', /must be urn/],
  ['no subject token', formOf({}), 'invalid_request', /^subject_token: .*missing/],
  ['an empty one', formOf({ subject_token: '' }), 'invalid_request', /^subject_token: .*missing/],
  ['no type', formOf({ subject_token: 'x', subject_token_type: undefined }), 'invalid_request', /^subject_token_type/],
  ['another type', formOf({ subject_token: 'x', subject_token_type: 'x' }), 'invalid_request', /access_token or /],
  ['a key as a JWT', formOf({ subject_token: text('all'), subject_token_type: JWT }), 'invalid_request', /no JWT/],
  ['another wanted type', `${good}&requested_token_type=x`, 'invalid_request', /^requested_token_type/],
  ['an actor', `${good}&actor_token=x`, 'invalid_request', /^actor_token/],
  ['the type of an actor', `${good}&actor_token_type=x`, 'invalid_request', /^actor_token_type/],
  ['an audience', `${good}&audience=x`, 'invalid_target', /^audience/],
  ['two audiences', `${good}&audience=x&audience=y`, 'invalid_target', /^audience/],
  ['a resource', `${good}&resource=x`, 'invalid_target', /^resource/],
  ['a secret of a client', `${good}&client_secret=x`, 'invalid_client', /subject_token/],
  ['an assertion of a client', `${good}&client_assertion=x`, 'invalid_client', /subject_token/],
  ['a parameter twice', `${good}&scope=r&scope=r`, 'invalid_request', /more than once/],
  ['an unknown parameter twice', `${good}&x=1&x=2`, 'invalid_request', /more than once/],
  ['twice, once in escapes', `${good}&%73cope=r&scope=r`, 'invalid_request', /more than once/],
  ['twice, once empty', `${good}&subject_token=`, 'invalid_request', /more than once/],
  ['a malformed escape', `${good}&x=%`, 'invalid_request', /not valid/],
  ['an escape that is no UTF-8', `${good}&x=%FF`, 'invalid_request', /not valid/],
  ['bytes that are no UTF-8', Buffer.from([0x61, 0x3d, 0xff]), 'invalid_request', /not valid/],
  [
    'too many parameters',
    `${good}&${Array.from({ length: 70 }, (_, i) => `p${i}=1`).join('&')}`,
    'invalid_request',
    /64/,
  ],
  ['nothing', '', 'invalid_request', /^grant_type/],
];

t.test('a form is read whole or refused, in the words of RFC 6749 and RFC 8693', async (t) => {
  const mint = openMint(keys);
  for (const [name, body, error, description] of FORMS) {
    t.match(await mint.send(body), { error, description, token: '' }, name);
  }
  const plus = good.replaceAll('%20', '+');
  for (const body of [good, `${good}&unknown=1`, `${good}&client_id=me`, `${good}&`, `&${plus}`, `${good}&scope=`]) {
    t.match(await mint.send(body), { status: 200 }, body.replace(good, ''));
  }
  const jwt = { subject_token_type: JWT, requested_token_type: JWT };
  t.match(await mint.exchange(SOURCES.token ?? '', jwt), { status: 200, body: { issued_token_type: JWT } });
  const charset = ['content-type', 'application/x-www-form-urlencoded; charset=UTF-8'];
  t.match(await mint.send(good, charset), { status: 200 });
  t.match(await mint.send(good, [...FORM_HEADERS, 'API-KEY', 'x']), { status: 400, error: 'invalid_request' });
});

t.test('no answer, and nothing that is recorded, has a credential in it', async (t) => {
  const mint = openMint(keys);
  const secret = 'a-very-secret-credential';
  for (const body of [
    formOf({ subject_token: secret }),
    `${secret}=${secret}&${secret}=1`,
    `${good}&actor_token=${secret}`,
  ]) {
    const answer = await mint.send(body);
    t.notMatch(JSON.stringify(answer), new RegExp(secret));
  }
  const { token } = await mint.exchange(text('all'));
  t.notMatch(JSON.stringify(mint.outcomes), new RegExp(`${secret}|${text('all')}|${token}`));
  t.strictSame(
    mint.outcomes.map(({ result }) => result),
    ['refused', 'refused', 'refused', 'minted'],
  );
});

t.test('each key with each subject has its own number of tokens per minute', async (t) => {
  const mint = openMint(keys);
  mint.settings = { lifetime: 300, perMinute: 2, restPort: true, keys: [] };
  const statusOf = async (credential: string, more = {}) => (await mint.exchange(credential, more)).status;
  const ada = makeToken({ access: 'r', subject: 'ada' });
  t.strictSame([await statusOf(ada), await statusOf(ada)], [200, 200]);
  const limited = await mint.exchange(ada);
  t.match(limited, { status: 429, error: 'temporarily_unavailable', description: /try again in 30 s/ });
  t.equal(limited.headers[limited.headers.indexOf('retry-after') + 1], '30');
  t.equal(await statusOf(makeToken({ access: 'r', subject: 'ada', jti: 'other' })), 429, 'another token of the same');
  t.equal(await statusOf(makeToken({ access: 'r', subject: 'bob' })), 200, 'another subject');
  t.equal(await statusOf(text('all')), 200, 'another key');
  t.equal(await statusOf(ada, { scope: 'm' }), 400, 'a refusal takes none');
  mint.now += 30_000;
  t.strictSame([await statusOf(ada), await statusOf(ada)], [200, 429]);
  t.strictSame(mint.outcomes.filter(({ result }) => result === 'limited').length, 3);
});

t.test('a credential with too many collections needs a scope', async (t) => {
  const access = Array.from({ length: 400 }, (_, at) => ({ collection: `collection-${at}`, access: 'r' as const }));
  const mint = openMint({ namedKeys: [namedKey('many', text('many'), { access })] });
  t.match(await mint.exchange(text('many')), { status: 400, description: /fewer collections in `scope`/ });
  t.match(await mint.exchange(text('many'), { scope: 'collection-7=r' }), { status: 200 });
});

t.test('what is minted, is told with its source', async (t) => {
  const mint = openMint(keys);
  const { token } = await mint.exchange(text('list'), { scope: 'docs=r' });
  const { jti } = claimsIn(token);
  t.match(mint.outcomes, [
    {
      ...{ result: 'minted', status: 200, principal: { keyId: 'list', key: { name: 'key list' } } },
      minted: { id: jti, exp: NOW_SECONDS + 300, lifetime: 300, scope: 'docs=r' },
      request: { remote: '127.0.0.1', tracingId: 'trace', port: 'rest' },
    },
  ]);
});

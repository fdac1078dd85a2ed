import t from 'tap';
import { message } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { makeToken } from '../support/tokens.ts';
import { AGREEABLE, openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

/** Bodies of Qdrant 1.20: a name in them is found as before, and what is new is neither taken for a name nor left unmeasured. */

t.setTimeout(FILE_MS);
const gateway = await startGateway({ upstream: AGREEABLE });
await fetch(`${gateway.upstream.restUrl}/collections/books`, {
  method: 'PUT',
  headers: { 'content-type': 'application/json' },
  body: '{"vectors":{"size":1,"distance":"Dot"}}',
});
const lanes = await openVerdictLanes(gateway);
t.teardown(async () => {
  lanes.close();
  await gateway.close();
});

const TOKEN = makeToken({ access: [{ collection: 'books', access: 'r' }] });
const QUERY = '/collections/books/points/query';
const CALL = '/qdrant.Points/Query';
const TEXT = { text: { query: 'other', bm25: { k: 1.2, b: 0.75 } } };

/** `Query.text`: `TextQuery{query, bm25}`. */
const text = message({ 12: message({ 1: 'other', 2: message({}) }) });
const FROM_OTHER = { lookup_from: { collection: 'other' } };
const fromOther = message({ 1: 'other' });
const deep = (levels: number, field: number, inner: Uint8Array): Uint8Array => {
  let bytes = inner;
  for (let level = 0; level < levels; level += 1)
    bytes = message({ [field]: field === 20 ? bytes : message({ 1: bytes }) });
  return bytes;
};
const formula = (expression: Uint8Array) => message({ 1: 'books', 3: message({ 8: message({ 1: expression }) }) });
const deepJson = (levels: number, open: string, close: string) =>
  `{"query":{"formula":${open.repeat(levels)}1${close.repeat(levels)}}}`;

const REFUSED = 'Forbidden: Access to collection other is required';
const TOO_DEEP = /nests too deeply|too deep|nest at most/;

const CASES: readonly (readonly [name: string, request: Request, said: string | RegExp])[] = [
  [
    'a text query on a payload field that is called as another collection',
    {
      rest: ['POST', QUERY, JSON.stringify({ query: TEXT, using: 'other', prefetch: { query: TEXT, using: 'other' } })],
      grpc: [CALL, message({ 1: 'books', 2: message({ 2: text, 3: 'other' }), 3: text, 4: 'other' })],
    },
    'ok',
  ],
  [
    'a text query with vectors of another collection',
    {
      rest: ['POST', QUERY, JSON.stringify({ query: TEXT, using: 'other', ...FROM_OTHER })],
      grpc: [CALL, message({ 1: 'books', 3: text, 4: 'other', 14: fromOther })],
    },
    REFUSED,
  ],
  [
    'a text query with a prefetch from another collection',
    {
      rest: ['POST', QUERY, JSON.stringify({ query: TEXT, prefetch: [{ query: TEXT, ...FROM_OTHER }] })],
      grpc: [CALL, message({ 1: 'books', 2: message({ 2: text, 8: fromOther }), 3: text })],
    },
    REFUSED,
  ],
  [
    'a filter by substring, and statistics of a part',
    {
      rest: [
        'POST',
        QUERY,
        JSON.stringify({
          filter: { must: [{ key: 'other', match: { substring: 'other' } }] },
          params: { idf: { corpus: 'other' } },
        }),
      ],
      grpc: [
        CALL,
        message({
          1: 'books',
          6: message({ 1: message({ 1: message({ 1: 'other', 2: message({ 12: 'other' }) }) }) }),
        }),
      ],
    },
    'ok',
  ],
  [
    'expressions that nest a little',
    {
      rest: ['POST', QUERY, deepJson(10, '{"max":[', ']}')],
      grpc: [CALL, formula(deep(10, 21, message({ 1: 1 })))],
    },
    'ok',
  ],
  [
    'maxima that nest too deeply',
    { rest: ['POST', QUERY, deepJson(40, '{"max":[', ']}')], grpc: [CALL, formula(deep(60, 21, message({ 1: 1 })))] },
    TOO_DEEP,
  ],
  [
    'minima that nest too deeply',
    { rest: ['POST', QUERY, deepJson(40, '{"min":[', ']}')], grpc: [CALL, formula(deep(60, 22, message({ 1: 1 })))] },
    TOO_DEEP,
  ],
  [
    'inverse cosines that nest too deeply',
    { rest: ['POST', QUERY, deepJson(70, '{"acosh":', '}')], grpc: [CALL, formula(deep(110, 20, message({ 1: 1 })))] },
    TOO_DEEP,
  ],
];

for (const [name, request, said] of CASES) {
  t.test(name, async (test) => {
    for (const heard of await lanes.ask(request, { 'api-key': TOKEN })) {
      if (typeof said === 'string') test.equal(heard, said);
      else test.match(heard, said);
    }
  });
}

t.test('an index on what is nested passes with the access to it, and not without', async (test) => {
  const writer = makeToken({ access: [{ collection: 'books', access: 'rw' }] });
  const request: Request = {
    rest: [
      'PUT',
      '/collections/books/index',
      '{"field_name":"a","field_schema":{"type":"keyword","nested":"other[]"}}',
    ],
    grpc: [
      '/qdrant.Points/CreateFieldIndex',
      message({ 1: 'books', 3: 'a', 4: 0, 5: message({ 3: message({ 6: 'other[]' }) }) }),
    ],
  };
  for (const heard of await lanes.ask(request, { 'api-key': writer })) test.equal(heard, 'ok');
  for (const heard of await lanes.ask(request, { 'api-key': TOKEN })) {
    test.equal(heard, 'Forbidden: Write access to collection books is required');
  }
});

t.test('the lag of consensus is told to those who manage everything', async (test) => {
  const lag: Request = {
    rest: ['GET', '/profiler/consensus_lag?timeout=1'],
    grpc: ['/qdrant.Snapshots/CreateFull', message({})],
  };
  for (const heard of await lanes.ask(lag, { 'api-key': KEYS.admin })) test.equal(heard, 'ok');
  const [http1, http2] = await lanes.ask(lag, { 'api-key': KEYS.readOnly });
  const refused = 'Forbidden: Global manage access is required';
  test.same([http1, http2], [refused, refused]);
});

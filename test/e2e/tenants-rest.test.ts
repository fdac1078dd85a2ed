import { gzipSync } from 'node:zlib';
import t from 'tap';
import type { FakeQdrantOptions } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { makeToken } from '../support/tokens.ts';
import { onEveryTransport, type Seen, Witness } from '../support/transports/alike.ts';
import { Http1Link } from '../support/transports/http1-link.ts';
import { Http2Link } from '../support/transports/http2-link.ts';
import type { SentRequest } from '../support/transports/request.ts';
import { openTransports } from '../support/transports/transports.ts';

/*
 * Requests of a tenant on every transport of REST: they are made anew where they came, or by the server, and answer, audit event and
 * metric do not differ.
 */

t.setTimeout(FILE_MS);

const RECORD = (id: string): string => `{"id":${id},"payload":{"tenant":"acme","a":1.50}}`;
const INFO = '{"status":"green","points_count":9,"config":{"params":{"vectors":{},"sparse_vectors":{}}}}';

/** An upstream with the points 1 and 2 of the tenant, which stays as it is. */
const upstream: FakeQdrantOptions = {
  onRest: (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    const target = request.url ?? '';
    if (!target.startsWith('/collections/')) return false;
    request.once('end', () => {
      const asked = /"has_id":\[([^\]]*)\]/.exec(Buffer.concat(chunks).toString())?.[1]?.split(',') ?? [];
      const found = asked.filter((id) => id === '1' || id === '2').map(RECORD);
      const results = { scroll: `{"points":[${found}]}`, count: '{"count":2}', query: `{"points":[${RECORD('1')}]}` };
      const kind = (['scroll', 'count', 'query'] as const).find((word) => target.includes(`/points/${word}`));
      const result = kind ? results[kind] : request.method === 'GET' ? INFO : '{"status":"completed"}';
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(`{"result":${result},"status":"ok","time":0.5}`);
    });
    request.resume();
    return true;
  },
};

const witness = new Witness();
/** Whether the last exchange passed as bytes. */
let relayed = false;
const note = (exchange: object): void => {
  relayed = 'connection' in exchange;
};
const transports = await openTransports({
  upstream,
  observers: [witness.observe, note],
  tenants: [
    { id: 'shop', credentials: 'tokens', collections: ['shop', 'shop-*'], field: 'tenant', from: 'tenant' },
    { id: 'shown', credentials: 'tokens', collections: ['shown'], field: 'tenant', from: 'tenant', hide_field: true },
    { id: 'free', credentials: 'tokens', collections: ['free'], free: true },
  ],
});
t.teardown(() => transports.close());

const bearer = (claims: object): SentRequest['headers'] => [['authorization', `Bearer ${makeToken(claims)}`]];
const LISTED = ['shop', 'shop-eu', 'shown', 'free', 'other'].map((collection) => ({ collection, access: 'rw' }));
const ACME = bearer({ access: LISTED, tenant: 'acme' });
const MANAGER = bearer({ tenant: 'acme' });
const NOBODY = bearer({ access: LISTED });
const ADMIN: SentRequest['headers'] = [['api-key', KEYS.admin]];

const T = '{"key":"tenant","match":{"value":"acme"}}';
const FILTER = `"filter":{"must":[${T}]}`;
const SHOP = '/collections/shop/points';

interface Case {
  readonly name: string;
  readonly as: SentRequest['headers'];
  readonly ask: readonly [method: string, target: string, body?: string | Buffer];
  readonly headers?: SentRequest['headers'];
  readonly status: number;
  /** What upstream gets; questions about the collection aside. */
  readonly sent?: readonly string[];
  /** What the answer holds. */
  readonly says?: string;
  /** The byte transports carry it; else the server does. */
  readonly bytes?: true;
}

const CASES: readonly Case[] = [
  {
    name: 'a query',
    bytes: true,
    as: ACME,
    ask: ['POST', `${SHOP}/query`, '{"limit":1}'],
    status: 200,
    sent: [`POST ${SHOP}/query {"limit":1,${FILTER}}`],
    says: '"a":1.50',
  },
  {
    name: 'a query with an escaped path',
    bytes: true,
    as: ACME,
    ask: ['POST', '/collections/sh%6fp/points/query', '{}'],
    status: 200,
    sent: [`POST ${SHOP}/query {${FILTER}}`],
  },
  {
    name: 'a caller with access to all',
    as: MANAGER,
    ask: ['POST', `${SHOP}/scroll?timeout=3&x=1`, '{}'],
    status: 200,
    sent: [`POST ${SHOP}/scroll?timeout=3 {${FILTER}}`],
  },
  {
    name: 'a compressed body',
    as: ACME,
    ask: ['POST', `${SHOP}/count`, gzipSync('{}')],
    headers: [['content-encoding', 'gzip']],
    status: 200,
    sent: [`POST ${SHOP}/count {${FILTER},"exact":true}`],
  },
  { name: 'one point', as: ACME, ask: ['GET', `${SHOP}/2`], status: 200, says: '"result":{"id":2' },
  {
    name: 'one point of another tenant',
    as: ACME,
    ask: ['GET', `${SHOP}/3`],
    status: 404,
    says: 'Not found: Point with id 3 does not exists!',
  },
  { name: 'several points', as: ACME, ask: ['POST', SHOP, '{"ids":[2,3,1]}'], status: 200, says: '"result":[{"id":2' },
  {
    name: 'a query by a point of another tenant',
    as: ACME,
    ask: ['POST', `${SHOP}/query`, '{"query":3}'],
    status: 404,
    says: 'Not found: No point with id 3 found',
  },
  {
    name: 'an upsert',
    bytes: true,
    as: ACME,
    ask: ['PUT', `${SHOP}?wait=true`, '{"points":[{"id":1,"vector":[1]}]}'],
    status: 200,
    sent: [
      `PUT ${SHOP}?wait=true {"points":[{"id":1,"vector":[1],"payload":{"tenant":"acme"}}],"update_filter":{"must":[${T}]}}`,
    ],
  },
  {
    name: 'clearing payloads',
    as: ACME,
    ask: ['POST', `${SHOP}/payload/clear`, '{"points":[1]}'],
    status: 200,
    sent: [`PUT ${SHOP}/payload {"filter":{"must":[${T},{"has_id":[1]}]},"payload":{"tenant":"acme"}}`],
  },
  {
    name: 'a hidden field',
    as: ACME,
    ask: ['POST', '/collections/shown/points/query', '{}'],
    status: 200,
    says: '"payload":{"a":1.50}',
  },
  { name: 'the information', as: ACME, ask: ['GET', '/collections/shop'], status: 200, says: '"points_count":2' },
  {
    name: 'a free collection',
    bytes: true,
    as: ACME,
    ask: ['POST', '/collections/free/points/scroll', '{"odd":1}'],
    status: 200,
    sent: ['POST /collections/free/points/scroll {"odd":1}'],
  },
  {
    name: 'a free collection, and a bound one in its body',
    as: ACME,
    ask: ['POST', '/collections/free/points/query', '{"query":3,"lookup_from":{"collection":"shop"}}'],
    status: 404,
  },
  {
    name: 'another value',
    bytes: true,
    as: ACME,
    ask: ['PUT', SHOP, '{"points":[{"id":1,"vector":[1],"payload":{"tenant":"b"}}]}'],
    status: 403,
    sent: [],
    says: 'another value',
  },
  {
    name: 'an unknown field',
    bytes: true,
    as: ACME,
    ask: ['POST', `${SHOP}/query`, '{"odd":1}'],
    status: 400,
    sent: [],
    says: 'unknown field `odd`',
  },
  { name: 'no body', bytes: true, as: ACME, ask: ['POST', `${SHOP}/query`], status: 400, sent: [] },
  {
    name: 'no tenant',
    as: NOBODY,
    ask: ['POST', `${SHOP}/query`, '{}'],
    status: 403,
    sent: [],
    says: 'names its tenant',
  },
  {
    name: 'a collection without an entry',
    as: ACME,
    ask: ['POST', '/collections/other/points/query', '{}'],
    status: 403,
    sent: [],
  },
  {
    name: 'an operation that nothing binds',
    as: MANAGER,
    ask: ['POST', '/collections/shop/snapshots'],
    status: 403,
    sent: [],
    says: 'not allowed to tenants',
  },
  {
    name: 'a route that is not known',
    as: MANAGER,
    ask: ['POST', '/collections/shop/odd', '{}'],
    status: 404,
    sent: [],
  },
  {
    name: 'a collection that the token does not list',
    as: ACME,
    ask: ['POST', '/collections/shop-us/points/query', '{}'],
    status: 403,
    sent: [],
    says: 'collection shop-us',
  },
  {
    name: 'the key itself has no tenancy',
    bytes: true,
    as: ADMIN,
    ask: ['POST', `${SHOP}/query`, '{"odd":1}'],
    status: 200,
    sent: [`POST ${SHOP}/query {"odd":1}`],
  },
];

const requestOf = ({ as, ask: [method, target, body], headers = [] }: Case): SentRequest => ({
  ...{
    method,
    target,
    headers: [...as, ...headers, ...(body === undefined ? [] : [['content-type', 'application/json'] as const])],
  },
  body: body === undefined ? undefined : Buffer.from(body),
});

/** What upstream got of the request itself; questions of the gateway's own carry no mark. */
const sentOf = ({ upstream: got }: Seen): string[] =>
  got.map(({ method, target, body }) => `${method} ${target} ${body}`);

t.test('a tenant’s request is the same on every transport', async (t) => {
  const heard = await onEveryTransport(transports, witness, CASES.map(requestOf));
  for (const [at, { name, status, sent, says = '', ask }] of CASES.entries()) {
    const one = heard[at];
    if (!one) throw new Error(name);
    t.strictSame(one.differences, [], name);
    t.equal(one.first.answer.status, status, `${name}: ${one.first.answer.body}`);
    t.ok(one.first.answer.body.includes(says), `${name}: ${one.first.answer.body}`);
    if (sent) t.strictSame(sentOf(one.first), sent, name);
    const event = JSON.stringify(one.first.event ?? {});
    if (status === 200 && ask[0] === 'GET' && ask[1] === `${SHOP}/2`) t.match(event, /"retrieve"/, 'recorded as asked');
    if (name === 'clearing payloads') t.match(event, /"clear_payload"/, 'recorded as asked');
  }
});

for (const [name, link] of Object.entries({ 'HTTP/1.1': Http1Link, 'HTTP/2': Http2Link })) {
  t.test(`what passes as bytes over ${name}`, async (t) => {
    const { ca, rest } = transports.relaying;
    for (const one of CASES.filter(({ status, bytes }) => bytes || status === 200)) {
      // What is handed over takes its connection along.
      const opened = await link.open(rest.port, ca);
      await opened.send(requestOf(one));
      opened.close();
      t.equal(relayed, one.bytes === true, one.name);
    }
  });
}

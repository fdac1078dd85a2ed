import t from 'tap';
import type { AuditEvent } from '../../src/audit/event.ts';
import { recordOf } from '../../src/audit/record.ts';
import type { Exchange, Outcome } from '../../src/exchange/exchange.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import { decide } from '../../src/policy/decide.ts';
import {
  AUDIT_UNAVAILABLE,
  badRequest,
  type Denial,
  EXPIRED_SIGNATURE,
  KEY_DISABLED,
  MISSING_CREDENTIAL,
  notListed,
  operationNotAllowed,
  UNKNOWN_OPERATION,
  UPSTREAM_BROKEN,
  UPSTREAM_UNREACHABLE,
} from '../../src/policy/denial.ts';
import { IN_MESSAGE, NO_TARGET, type Operation, type Target } from '../../src/policy/operation.ts';
import { firstRefusal, type Rule } from '../../src/policy/rules.ts';
import { exchangeOf, NOON } from './fixture.ts';

const row = (name: string): Operation => {
  const found = [...REST_OPERATIONS, ...GRPC_OPERATIONS].find((one) => one.name === name);
  if (!found) throw new TypeError(`no operation ${name}`);
  return found;
};
const QUERY = row('points.query');
const ON_A: Target = { kind: 'collection', name: 'a' };
const PERMIT = decide(GLOBAL_MANAGE, QUERY, ON_A);
const ONLY_SCROLL: Rule = {
  id: 'only-scroll',
  mode: 'enforce',
  keys: undefined,
  subjects: undefined,
  access: undefined,
  operations: new Set(['points.scroll']),
};
const PRINCIPAL = {
  kind: 'principal',
  access: GLOBAL_MANAGE,
  bounds: undefined,
  authType: 'Jwt',
  keyId: 'api_key',
  subject: 'alice',
} as const;

const BASE: Partial<Exchange> = {
  headers: ['x-request-id', 'r-1', 'api-key', 'secret-key', 'authorization', 'Bearer secret-token'],
  resolution: { operation: QUERY, target: ON_A },
  principal: PRINCIPAL,
  decision: PERMIT,
  startedAt: 100,
  forwardedAt: 101,
  answeredAt: 102,
};
const SERVED: Outcome = { status: 200, received: 12, sent: 34 };
const EVENT: AuditEvent = {
  timestamp: '2026-11-25T12:00:00.000Z',
  method: 'query_batch',
  api: '/collections/a/points/query',
  auth_type: 'Jwt',
  subject: 'alice',
  remote: '192.0.2.1',
  collection: 'a',
  tracing_id: 'r-1',
  result: 'ok',
  error: undefined,
  id: 'id-1',
  key: 'api_key',
  operation: 'points.query',
  protocol: 'rest',
  collections: ['a'],
  rule: undefined,
  would_deny: undefined,
  status: 200,
  upstream_status: 200,
  duration_ms: 3.123,
  bytes_in: 12,
  bytes_out: 34,
};

const OF_TEAM: Denial = { ...KEY_DISABLED, key: { id: 'team', name: 'Team', owner: 'a@b' } };

type Case = readonly [name: string, exchange: Partial<Exchange>, outcome: Outcome, event: Partial<AuditEvent>];
const refused = (status: number): Outcome => ({ status, received: 0, sent: 9 });
const REFUSED = { result: 'denied', upstream_status: null, bytes_in: 0, bytes_out: 9 } as const;
const BEFORE = { forwardedAt: 0, answeredAt: 0 };
const GRPC = {
  protocol: 'grpc',
  requestTarget: '/qdrant.Points/Query',
  resolution: { operation: row('qdrant.Points/Query'), target: IN_MESSAGE },
} as const;

const CASES: readonly Case[] = [
  ['served', {}, SERVED, {}],
  ['what upstream refuses was allowed', {}, { ...SERVED, status: 404 }, { status: 404, upstream_status: 404 }],
  [
    'no credential',
    { ...BEFORE, principal: undefined, decision: MISSING_CREDENTIAL, refusal: MISSING_CREDENTIAL },
    refused(401),
    {
      ...REFUSED,
      status: 401,
      auth_type: 'None',
      subject: undefined,
      key: undefined,
      method: undefined,
      code: 'missing_credential',
      error: 'Unauthorized: Must provide an API key or an Authorization bearer token',
    },
  ],
  [
    'a named key that may not be used is named',
    { ...BEFORE, principal: undefined, decision: OF_TEAM, refusal: OF_TEAM },
    refused(401),
    {
      ...REFUSED,
      ...{ status: 401, auth_type: 'None', subject: undefined, method: undefined },
      ...{ key: 'team', key_name: 'Team', key_owner: 'a@b', code: 'key_disabled' },
      event: 'key_used_while_disabled',
      error: 'Unauthorized: Invalid API key or JWT',
    },
  ],
  [
    'a credential that is known to be bad',
    { ...BEFORE, principal: undefined, decision: EXPIRED_SIGNATURE, refusal: EXPIRED_SIGNATURE },
    refused(403),
    {
      ...REFUSED,
      status: 403,
      auth_type: 'None',
      subject: undefined,
      key: undefined,
      method: undefined,
      code: 'token_expired',
      error: 'Forbidden: ExpiredSignature',
    },
  ],
  [
    'too little access, names in the body included',
    { ...BEFORE, decision: notListed('b'), refusal: notListed('b'), references: { others: ['a', 'b'] } },
    refused(403),
    {
      ...REFUSED,
      status: 403,
      code: 'collection_not_listed',
      error: 'Forbidden: Access to collection b is required',
      collections: ['a', 'b'],
    },
  ],
  [
    'a rule that refuses is named',
    {
      ...BEFORE,
      decision: operationNotAllowed('points.query'),
      refusal: operationNotAllowed('points.query'),
      principal: { ...PRINCIPAL, bounds: { enforced: [ONLY_SCROLL], shadow: [] } },
    },
    refused(403),
    {
      ...REFUSED,
      status: 403,
      code: 'operation_not_allowed',
      error: 'Forbidden: Operation points.query is not allowed',
      rule: 'only-scroll',
      event: 'rule_hit',
    },
  ],
  [
    'a rule that did not refuse is not',
    {
      ...BEFORE,
      decision: MISSING_CREDENTIAL,
      refusal: MISSING_CREDENTIAL,
      principal: { ...PRINCIPAL, bounds: { enforced: [ONLY_SCROLL], shadow: [] } },
    },
    refused(401),
    {
      ...REFUSED,
      status: 401,
      method: undefined,
      code: 'missing_credential',
      error: 'Unauthorized: Must provide an API key or an Authorization bearer token',
    },
  ],
  [
    'an unknown operation',
    {
      ...BEFORE,
      resolution: { operation: { ...QUERY, name: 'unlisted', audit: null }, target: NO_TARGET },
      decision: UNKNOWN_OPERATION,
      refusal: UNKNOWN_OPERATION,
    },
    refused(404),
    {
      ...REFUSED,
      status: 404,
      method: 'unlisted',
      operation: 'unlisted',
      code: 'unknown_operation',
      error: 'unknown operation',
      collection: undefined,
      collections: undefined,
    },
  ],
  [
    'shadow mode says what it would have refused',
    { shadowed: { rule: 'r', denial: notListed('a') } },
    SERVED,
    {
      event: 'rule_hit_in_shadow',
      would_deny: { rule: 'r', code: 'collection_not_listed', error: 'Forbidden: Access to collection a is required' },
    },
  ],
  [
    'upstream that is not there was allowed and has an error',
    { answeredAt: 0, refusal: UPSTREAM_UNREACHABLE },
    { ...SERVED, status: 502 },
    { code: 'upstream_unreachable', error: 'upstream is not reachable', status: 502, upstream_status: null },
  ],
  [
    'an answer that breaks off keeps the status the client saw',
    { refusal: UPSTREAM_BROKEN },
    SERVED,
    { code: 'upstream_broken', error: 'upstream gave no valid answer', status: 200, upstream_status: 200 },
  ],
  [
    'a body that cannot be carried is refused although the access was there',
    { answeredAt: 0, refusal: badRequest('malformed_body', 'the body nests too deeply') },
    { ...SERVED, status: 400 },
    {
      result: 'denied',
      code: 'malformed_body',
      error: 'the body nests too deeply',
      status: 400,
      upstream_status: null,
    },
  ],
  [
    'a client that leaves before a decision got nothing',
    { ...BEFORE, decision: undefined, principal: undefined },
    { status: undefined, received: 0, sent: 0 },
    {
      result: 'denied',
      error: 'the client left before a decision',
      auth_type: 'None',
      subject: undefined,
      key: undefined,
      status: undefined,
      upstream_status: null,
      bytes_in: 0,
      bytes_out: 0,
    },
  ],
  [
    'no room in the audit',
    { ...BEFORE, principal: undefined, decision: AUDIT_UNAVAILABLE, refusal: AUDIT_UNAVAILABLE },
    refused(503),
    {
      ...REFUSED,
      status: 503,
      auth_type: 'None',
      subject: undefined,
      key: undefined,
      code: 'audit_unavailable',
      error: 'the audit log takes no more entries',
    },
  ],
  [
    'gRPC, its target from the message',
    { ...GRPC, references: { target: 'a', others: ['c'] } },
    { ...SERVED, status: 0 },
    {
      api: '/qdrant.Points/Query',
      protocol: 'grpc',
      operation: 'qdrant.Points/Query',
      method: 'query_batch',
      collections: ['a', 'c'],
      status: 0,
      upstream_status: 0,
    },
  ],
  [
    'gRPC, a message that was not read, a status that was not read',
    GRPC,
    { ...SERVED, status: undefined },
    {
      api: '/qdrant.Points/Query',
      protocol: 'grpc',
      operation: 'qdrant.Points/Query',
      method: 'query_batch',
      collection: undefined,
      collections: undefined,
      status: undefined,
      upstream_status: null,
    },
  ],
];

/** Without what is absent, as it is written. */
const present = (event: AuditEvent | undefined): object => JSON.parse(JSON.stringify(event ?? {}));

const options = { trust: { trustedProxies: 0, trustForwardedHeaders: false }, logApi: true, firstRefusal };
const moment = { id: 'id-1', at: NOON, now: 103.12345 };

for (const [name, exchange, outcome, event] of CASES) {
  t.test(name, async (t) => {
    const made = recordOf(exchangeOf({ ...BASE, ...exchange }), outcome, moment, options);
    t.strictSame(present(made), present({ ...EVENT, ...event }));
    t.notMatch(JSON.stringify(made), /secret/, 'no credential');
  });
}

t.test('public operations are not audited', async (t) => {
  for (const name of ['service.healthz', 'service.root', 'service.dashboard', 'qdrant.Qdrant/HealthCheck']) {
    const exchange = exchangeOf({ ...BASE, resolution: { operation: row(name), target: NO_TARGET } });
    t.equal(recordOf(exchange, SERVED, moment, options), undefined, name);
  }
  const telemetry = exchangeOf({ ...BASE, resolution: { operation: row('service.telemetry'), target: NO_TARGET } });
  t.equal(recordOf(telemetry, SERVED, moment, options)?.method, 'service.telemetry', 'one upstream does not audit is');
});

t.test('the path is written as it came, without query and authority', async (t) => {
  const cases = [
    ['/collections/a%20b/points?consistency=all&api-key=x', '/collections/a%20b/points'],
    ['//collections/a/', '//collections/a/'],
    ['/collections#x', '/collections'],
    ['http://user:word@host:6333/collections?x', '/collections'],
    ['HTTPS://host?x', '/'],
    ['*', '*'],
    [`/${'x'.repeat(600)}`, `/${'x'.repeat(510)}…`],
  ] as const;
  for (const [requestTarget, api] of cases) {
    t.equal(recordOf(exchangeOf({ ...BASE, requestTarget }), SERVED, moment, options)?.api, api, requestTarget);
  }
});

t.test('without `log_api` the path stands only where a credential was refused', async (t) => {
  const made = (more: Partial<Exchange>) =>
    recordOf(exchangeOf({ ...BASE, ...more }), SERVED, moment, { ...options, logApi: false });
  t.equal(made({})?.api, undefined);
  t.equal(made({ decision: notListed('b'), refusal: notListed('b') })?.api, undefined);
  const refused = made({ principal: undefined, decision: MISSING_CREDENTIAL, refusal: MISSING_CREDENTIAL });
  t.strictSame([refused?.api, refused?.method], ['/collections/a/points/query', undefined]);
});

t.test('a request is called what the client calls it', async (t) => {
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const cases = [
    [['x-request-id', 'r-1', 'traceparent', parent], 'r-1'],
    [['traceparent', parent], parent],
    [['traceparent', parent, 'x-tracing-id', 't-1'], 't-1'],
    [['x-request-id', 'not well-formed', 'traceparent', parent], parent],
  ] as const;
  for (const [headers, id] of cases) {
    t.equal(recordOf(exchangeOf({ ...BASE, headers }), SERVED, moment, options)?.tracing_id, id, headers.join(' '));
  }
  const made = exchangeOf({ ...BASE, headers: ['traceparent', 'odd'], requestId: 'ours' });
  t.equal(recordOf(made, SERVED, moment, options)?.tracing_id, 'ours');
});

import t from 'tap';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../src/operations/rest.ts';
import { type Access, GLOBAL_MANAGE, GLOBAL_READ, type ListAccess } from '../../src/policy/access.ts';
import { type BodyNeeds, type BodyRules, bodyNeeds } from '../../src/policy/body-checks.ts';
import { decide } from '../../src/policy/decide.ts';
import { URL_RECOVERY_DISABLED } from '../../src/policy/denial.ts';
import { IN_MESSAGE, type Operation } from '../../src/policy/operation.ts';
import { NO_FEATURES } from '../../src/policy/tenants/rewriting.ts';
import type { Tenancy } from '../../src/policy/tenants/tenancy.ts';
import { decideWithinTenancy } from '../../src/policy/tenants/within.ts';

/** Which checks a body needs: the operation, the principal, the settings, and what has to be known of the body. */

const WRITE_BOOKS: ListAccess = { kind: 'list', modes: new Map([['books', 'rw']]) };
const USUAL: BodyRules = {
  nestingGuard: 'below_manage',
  snapshotUrlRecovery: true,
  refusesDotNames: () => false,
  releaseSettled: () => undefined,
  features: () => NO_FEATURES,
};
const ALL: BodyRules = { ...USUAL, nestingGuard: 'all' };
const NO_DOTS: BodyRules = { ...USUAL, refusesDotNames: () => true };
const NO_URLS: BodyRules = { ...USUAL, snapshotUrlRecovery: false };

const row = (name: string): Operation => {
  const found = [...REST_OPERATIONS, UNLISTED_REST].find((one) => one.name === name);
  if (!found) throw new Error(`no row ${name}`);
  return found;
};
const call = (name: string): Operation => {
  const found = GRPC_OPERATIONS.find((one) => one.name === name);
  if (!found) throw new Error(`no row ${name}`);
  return found;
};

type Expected = BodyNeeds | 'none' | 'refused';
const NAMES: BodyNeeds = { names: true };
const DEPTH: BodyNeeds = { depth: true };

const CASES: readonly [
  sentence: string,
  operation: Operation,
  access: Access,
  expected: Expected,
  rules?: BodyRules,
  hasBody?: boolean,
][] = [
  ['an upsert of the admin key', row('points.upsert'), GLOBAL_MANAGE, 'none'],
  ['the same where all bodies are measured', row('points.upsert'), GLOBAL_MANAGE, DEPTH, ALL],
  ['an upsert of a list token', row('points.upsert'), WRITE_BOOKS, DEPTH],
  ['the same without a body', row('points.upsert'), WRITE_BOOKS, 'none', USUAL, false],
  ['a query of the read-only key', row('points.query'), GLOBAL_READ, DEPTH],
  ['a query of a list token, which may name other collections', row('points.query'), WRITE_BOOKS, NAMES],
  ['the same without a body: what cannot name is read, too', row('points.query'), WRITE_BOOKS, NAMES, USUAL, false],
  ['a new collection', row('collections.create'), GLOBAL_MANAGE, 'none'],
  ['a new collection upstream of 1.19.0', row('collections.create'), GLOBAL_MANAGE, { dotNames: true }, NO_DOTS],
  ['an alias upstream of 1.19.0', row('aliases.update'), GLOBAL_MANAGE, { dotNames: true }, NO_DOTS],
  ['the same without a body', row('aliases.update'), GLOBAL_MANAGE, 'none', NO_DOTS, false],
  ['an upsert upstream of 1.19.0', row('points.upsert'), GLOBAL_MANAGE, 'none', NO_DOTS],
  [
    'a call for snapshots upstream of 1.19.0',
    call('qdrant.Snapshots/List'),
    GLOBAL_READ,
    { depth: true, dotNames: true },
    NO_DOTS,
  ],
  ['a call of a list token', call('qdrant.Snapshots/List'), WRITE_BOOKS, { names: true, dotNames: true }, NO_DOTS],
  ['an upload that upstream does not parse', row('snapshots.upload'), GLOBAL_MANAGE, 'none', ALL],
  ['recovery from a URL that is allowed', row('snapshots.recover'), GLOBAL_MANAGE, 'none'],
  ['recovery from a URL that is not', row('snapshots.recover'), GLOBAL_MANAGE, { location: true }, NO_URLS],
  [
    'the same where all bodies are measured',
    row('snapshots.recover'),
    GLOBAL_MANAGE,
    { depth: true, location: true },
    { ...NO_URLS, nestingGuard: 'all' },
  ],
  [
    'recovery from a peer, which always is a URL',
    row('partial_snapshots.recover_from'),
    GLOBAL_MANAGE,
    'refused',
    NO_URLS,
  ],
  ['a route that is not in the table', row('unlisted'), GLOBAL_MANAGE, DEPTH, ALL],
  ['a call of the admin key', call('qdrant.Points/Upsert'), GLOBAL_MANAGE, 'none'],
  ['a call of the read-only key', call('qdrant.Points/Query'), GLOBAL_READ, DEPTH],
  ['a call whose message names the collection', call('qdrant.Points/Query'), WRITE_BOOKS, NAMES],
];

for (const [sentence, operation, access, expected, rules = USUAL, hasBody = true] of CASES) {
  t.test(sentence, async (t) => {
    const isCall = !('body' in operation);
    const decision = decide(access, operation, isCall ? { kind: 'in-message' } : { kind: 'collection', name: 'books' });
    if (decision.kind === 'denial') throw new Error(decision.message);
    const needs = bodyNeeds(decision, { hasBody, principal: { access } }, rules);
    if (expected === 'refused') t.equal(needs, URL_RECOVERY_DISABLED);
    else t.strictSame(needs, expected === 'none' ? undefined : expected);
  });
}

const HOLDS = { id: 'shop', field: ['t'], values: ['a'], hides: false, sharedStatistics: false };
const TENANCY: Tenancy = {
  scopes: [
    { names: new Set(['books']), prefixes: [], holds: HOLDS },
    { names: new Set(['free']), prefixes: [], holds: 'free' },
  ],
};
const TENANT: BodyNeeds = { tenant: true };

const OF_TENANTS: readonly [sentence: string, operation: Operation, on: string, access: Access, expected: Expected][] =
  [
    ['an upsert of a tenant', row('points.upsert'), 'books', GLOBAL_MANAGE, TENANT],
    ['an upsert of a tenant with a list', row('points.upsert'), 'books', WRITE_BOOKS, { depth: true, tenant: true }],
    ['a query of a tenant with a list', row('points.query'), 'books', WRITE_BOOKS, { names: true, tenant: true }],
    ['an upsert into a free collection', row('points.upsert'), 'free', GLOBAL_MANAGE, 'none'],
    ['a query of a free collection, for its names', row('points.query'), 'free', GLOBAL_MANAGE, TENANT],
    ['whether a collection exists', row('collections.exists'), 'books', GLOBAL_MANAGE, 'none'],
    ['a call of a tenant', call('qdrant.Points/Query'), 'books', GLOBAL_MANAGE, TENANT],
    ['a call whether a collection exists', call('qdrant.Collections/CollectionExists'), 'books', GLOBAL_MANAGE, NAMES],
  ];

for (const [sentence, operation, on, access, expected] of OF_TENANTS) {
  t.test(sentence, async (t) => {
    const target = 'body' in operation ? ({ kind: 'collection', name: on } as const) : IN_MESSAGE;
    const given = { tenancy: TENANCY, access };
    const decision = decideWithinTenancy(given, decide(access, operation, target), target);
    if (decision.kind === 'denial') throw new Error(decision.message);
    for (const hasBody of expected === TENANT ? [true, false] : [true]) {
      const needs = bodyNeeds(decision, { hasBody, principal: { access, tenancy: TENANCY } }, USUAL);
      t.strictSame(needs, expected === 'none' ? undefined : expected, `body: ${hasBody}`);
    }
  });
}

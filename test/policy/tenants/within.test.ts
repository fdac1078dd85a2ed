import t from 'tap';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../../src/operations/rest.ts';
import { type Access, GLOBAL_MANAGE, GLOBAL_READ, type ListAccess, lists } from '../../../src/policy/access.ts';
import { isRewritten } from '../../../src/policy/body-checks.ts';
import { decide, settle } from '../../../src/policy/decide.ts';
import { type Denial, tenantField } from '../../../src/policy/denial.ts';
import { IN_MESSAGE, NO_TARGET, type Operation, type Target } from '../../../src/policy/operation.ts';
import type { Rewriting } from '../../../src/policy/tenants/rewriting.ts';
import type { Tenancy, TenantCondition, TenantScope } from '../../../src/policy/tenants/tenancy.ts';
import { decideWithinTenancy, lookupRefused, settledWithin } from '../../../src/policy/tenants/within.ts';

/** The truth table of tenancies: access decides first, the tenancy narrows it. Every allow has its denials beside it. */

const ACME: TenantCondition = {
  ...{ id: 'shop', field: ['tenant_id'], values: ['acme'], hides: false, sharedStatistics: false },
};
const scope = (collections: string, holds: TenantScope['holds']): TenantScope => {
  const all = collections.split(' ');
  return {
    names: new Set(all.filter((name) => !name.endsWith('*'))),
    prefixes: all.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1)),
    holds,
  };
};
const TENANCY: Tenancy = {
  scopes: [scope('products shop-*', ACME), scope('articles', 'free'), scope('lost shop-lost', 'missing')],
};

const row = (name: string): Operation => {
  const found = [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS].find((one) => one.name === name);
  if (!found) throw new Error(`no row ${name}`);
  return found;
};
const LISTED: ListAccess = {
  kind: 'list',
  modes: new Map(['products', 'articles', 'lost', 'other'].map((name) => [name, 'rw'] as const)),
};
const READS: ListAccess = { kind: 'list', modes: new Map([['products', 'r']]) };
const REWRITING: Rewriting = { request: {}, checks: [], answer: undefined, byIdAlone: [] };

/** In words: what goes upstream. */
type Verdict = 'as it is' | 'made anew' | Denial['code'];

interface Asked {
  readonly access?: Access;
  /** Of the path; `undefined` = none, `message` = it is found in the message. */
  readonly on?: string;
  readonly inMessage?: string;
  readonly outcome?: Rewriting | 'as-it-is' | Denial;
  readonly others?: readonly string[];
}

/** The whole way, as the steps go it. */
function verdict(operation: Operation, { access = LISTED, on, inMessage, outcome, others = [] }: Asked): Verdict {
  const target: Target =
    inMessage !== undefined ? IN_MESSAGE : on === undefined ? NO_TARGET : { kind: 'collection', name: on };
  const given = { tenancy: TENANCY, access };
  const decision = decideWithinTenancy(given, decide(access, operation, target), target);
  if (decision.kind === 'denial') return decision.code;
  let permit = decision.kind === 'permit' ? decision : undefined;
  if (decision.kind === 'conditional') {
    const settled =
      decision.sure ?? settle(decision, { ...(inMessage !== undefined && { target: inMessage }), others });
    if (settled.kind === 'denial') return settled.code;
    permit = settled;
  }
  if (!permit) throw new Error('nothing was decided');
  if (permit.tenant === undefined) {
    const known = on ?? (decision.kind === 'conditional' ? inMessage : undefined);
    const settled = settledWithin(given, permit, known, isRewritten(decision) ? outcome : undefined);
    if (settled.kind === 'denial') return settled.code;
    permit = settled;
  }
  if (permit.tenant === undefined) throw new Error('a permit without an outcome');
  return permit.tenant === 'as-it-is' ? 'as it is' : 'made anew';
}

const CASES: readonly (readonly [sentence: string, row: string, asked: Asked, verdict: Verdict])[] = [
  ['a scroll of a bound collection is made anew', 'points.scroll', { on: 'products', outcome: REWRITING }, 'made anew'],
  ['the same of a pattern', 'points.scroll', { access: GLOBAL_READ, on: 'shop-a', outcome: REWRITING }, 'made anew'],
  [
    'the same of a name that only begins alike',
    'points.scroll',
    { access: GLOBAL_READ, on: 'shop', outcome: REWRITING },
    'collection_not_listed',
  ],
  ['a scroll without an outcome is a fault', 'points.scroll', { on: 'products' }, 'internal_fault'],
  ['a scroll that would go as it is, too', 'points.scroll', { on: 'products', outcome: 'as-it-is' }, 'internal_fault'],
  ['a refusal of the body stays', 'points.upsert', { on: 'products', outcome: tenantField('x') }, 'tenant_field'],
  ['a scroll of a free collection goes as it is', 'points.scroll', { on: 'articles' }, 'as it is'],
  ['a query of a free collection is read for names', 'points.query', { on: 'articles' }, 'internal_fault'],
  ['the same, read', 'points.query', { on: 'articles', outcome: 'as-it-is' }, 'as it is'],
  ['the same, made anew for a look-up', 'points.query', { on: 'articles', outcome: REWRITING }, 'made anew'],
  [
    'a scroll of a collection without an entry is refused',
    'points.scroll',
    { on: 'other', outcome: REWRITING },
    'collection_not_listed',
  ],
  [
    'a scroll where the caller has no value is refused',
    'points.scroll',
    { on: 'lost', outcome: REWRITING },
    'tenant_value',
  ],
  [
    'no value beside a condition is refused',
    'points.scroll',
    { access: GLOBAL_READ, on: 'shop-lost', outcome: REWRITING },
    'tenant_value',
  ],
  ['access refuses first', 'points.upsert', { access: READS, on: 'products', outcome: REWRITING }, 'write_required'],
  [
    'access to another collection in the body, too',
    'points.query',
    { access: READS, on: 'products', others: ['other'], outcome: REWRITING },
    'collection_not_listed',
  ],
  [
    'the admin key is bound as well',
    'points.scroll',
    { access: GLOBAL_MANAGE, on: 'products', outcome: REWRITING },
    'made anew',
  ],
  ['a snapshot is refused', 'snapshots.create', { on: 'products' }, 'tenant_operation'],
  ['a snapshot of a free collection, too', 'snapshots.create', { on: 'articles' }, 'tenant_operation'],
  ['a new collection is refused', 'collections.create', { access: GLOBAL_MANAGE, on: 'shop-new' }, 'tenant_operation'],
  ['a list that may not create one is told so', 'collections.create', { on: 'shop-new' }, 'global_required'],
  ['an index is refused', 'index.create', { on: 'products' }, 'tenant_operation'],
  ['shard keys are refused', 'shard_keys.list', { on: 'products' }, 'tenant_operation'],
  ['telemetry is refused', 'service.telemetry', {}, 'tenant_operation'],
  ['metrics are refused', 'service.metrics', { access: GLOBAL_MANAGE }, 'tenant_operation'],
  ['a route of no table is refused, also to the admin key', 'unlisted', { access: GLOBAL_MANAGE }, 'unknown_operation'],
  ['the list of collections passes', 'collections.list', {}, 'as it is'],
  ['whether a collection exists passes', 'collections.exists', { on: 'products' }, 'as it is'],
  ['whether another one exists does not', 'collections.exists', { on: 'other' }, 'collection_not_listed'],
  [
    'information on a bound collection is made anew',
    'collections.get',
    { on: 'products', outcome: REWRITING },
    'made anew',
  ],
  ['information on a free one goes as it is', 'collections.get', { on: 'articles' }, 'as it is'],
  ['a call is made anew', 'qdrant.Points/Query', { inMessage: 'products', outcome: REWRITING }, 'made anew'],
  [
    'a call of the read-only key is made anew',
    'qdrant.Points/Query',
    { access: GLOBAL_READ, inMessage: 'products', outcome: REWRITING },
    'made anew',
  ],
  [
    'a call without an outcome is a fault',
    'qdrant.Points/Query',
    { access: GLOBAL_READ, inMessage: 'products' },
    'internal_fault',
  ],
  [
    'a call on a free collection goes as it is',
    'qdrant.Points/Query',
    { inMessage: 'articles', outcome: 'as-it-is' },
    'as it is',
  ],
  [
    'a call on another one does not, whatever its outcome',
    'qdrant.Points/Query',
    { inMessage: 'other', outcome: 'as-it-is' },
    'collection_not_listed',
  ],
  ['a call for a list passes', 'qdrant.Collections/List', {}, 'as it is'],
  [
    'a call whether a collection exists passes',
    'qdrant.Collections/CollectionExists',
    { inMessage: 'products' },
    'as it is',
  ],
  [
    'the same of the read-only key',
    'qdrant.Collections/CollectionExists',
    { access: GLOBAL_READ, inMessage: 'products' },
    'as it is',
  ],
  [
    'a call whether another one exists does not',
    'qdrant.Collections/CollectionExists',
    { inMessage: 'other' },
    'collection_not_listed',
  ],
  [
    'the same of the read-only key, which waits for the name',
    'qdrant.Collections/CollectionExists',
    { access: GLOBAL_READ, inMessage: 'other' },
    'collection_not_listed',
  ],
  [
    'a call that changes a collection is refused',
    'qdrant.Collections/Update',
    { access: GLOBAL_MANAGE, inMessage: 'products' },
    'tenant_operation',
  ],
  ['reflection passes', 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo', {}, 'as it is'],
];

for (const [sentence, name, asked, expected] of CASES) {
  t.test(sentence, async (t) => t.equal(verdict(row(name), asked), expected));
}

t.test('lists show what access and tenancy both cover', async (t) => {
  const NAMES = ['products', 'articles', 'shop-a', 'shop', 'other', 'lost'];
  const seen = (access: Access): string[] => {
    const operation = row('collections.list');
    const decision = decideWithinTenancy({ tenancy: TENANCY, access }, decide(access, operation, NO_TARGET), NO_TARGET);
    if (decision.kind !== 'permit') throw new Error('not permitted');
    const { visible } = decision;
    return NAMES.filter((name) => (visible ? lists(visible, name) : true));
  };
  t.strictSame(seen(GLOBAL_MANAGE), ['products', 'articles', 'shop-a']);
  t.strictSame(seen(LISTED), ['products', 'articles']);
  t.strictSame(seen(READS), ['products']);
});

t.test('points of a free collection alone are looked up', async (t) => {
  t.equal(lookupRefused(TENANCY, 'articles'), undefined);
  t.equal(lookupRefused(TENANCY, 'products')?.code, 'tenant_lookup');
  t.equal(lookupRefused(TENANCY, 'other')?.code, 'collection_not_listed');
  t.equal(lookupRefused(TENANCY, 'lost')?.code, 'tenant_value');
});

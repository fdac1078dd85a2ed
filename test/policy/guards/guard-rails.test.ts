import fc from 'fast-check';
import t from 'tap';
import { GRPC_OPERATIONS, UNLISTED_GRPC } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../../src/operations/rest.ts';
import type { References } from '../../../src/policy/decide.ts';
import { concern, concerned, isLossy, isWrite, railRefusal } from '../../../src/policy/guards/guard-rails.ts';
import { IN_MESSAGE, NO_TARGET, type Operation, type Target } from '../../../src/policy/operation.ts';
import { type GuardSettings, policyOf } from '../../../src/policy/settings.ts';
import { runs } from '../../support/generators/runs.ts';

const ALL: readonly Operation[] = [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC];
const CONFIRM = 'X-Qdrant-Gateway-Confirm';

interface Asked {
  readonly operation: string;
  readonly target?: Target;
  readonly found?: References;
  readonly headers?: readonly string[];
}

/** `rail: text` of the refusal, `waits` for names, or `passes`. */
function told(guards: readonly Partial<GuardSettings>[], { operation: name, target, found, headers = [] }: Asked) {
  const operation = ALL.find((row) => row.name === name);
  if (!operation) throw new TypeError(`no row ${name}`);
  const settings = guards.map((guard, at): GuardSettings => ({ id: `g${at}`, mode: 'enforce', ...guard }));
  const { rails = [] } = policyOf('enforce', [], settings);
  if (!concern(rails, operation)) return 'passes';
  const names = concerned(operation, target ?? NO_TARGET, found);
  const refused = railRefusal(rails, 'enforce', operation, { names, headers });
  return refused ? `${refused.rule}: ${refused.denial.message}` : names === 'unread' ? 'waits' : 'passes';
}

const on = (name: string): Target => ({ kind: 'collection', name });
const frozen = (name: string): string => `g0: Forbidden: Nothing is written to collection ${name} at the moment`;
const kept = (name: string): string =>
  `g0: Forbidden: Collection ${name} is protected, name it in \`x-qdrant-gateway-confirm\` if you mean it`;
const NOTHING_WRITTEN = 'g0: Forbidden: Nothing is written at the moment';
const NAMELESS = 'g0: Forbidden: The operation may harm protected collections and names none';

const ICE = { freeze: ['ice', 'cold-*'] };
const KEPT = { protected: ['kept', 'prod-*'] };

const ROWS: readonly [name: string, guard: Partial<GuardSettings>, asked: Asked, answer: string][] = [
  ['a frozen collection is read', ICE, { operation: 'points.query', target: on('ice') }, 'passes'],
  ['and not written', ICE, { operation: 'points.upsert', target: on('ice') }, frozen('ice')],
  ['nor deleted', ICE, { operation: 'collections.delete', target: on('ice') }, frozen('ice')],
  ['nor created', ICE, { operation: 'collections.create', target: on('cold-1') }, frozen('cold-1')],
  ['but saved', ICE, { operation: 'snapshots.create', target: on('ice') }, 'passes'],
  ['nor recovered', ICE, { operation: 'snapshots.recover', target: on('ice') }, frozen('ice')],
  ['another one is written', ICE, { operation: 'points.upsert', target: on('iced') }, 'passes'],
  ['a message is read for its collection', ICE, { operation: 'qdrant.Points/Upsert', target: IN_MESSAGE }, 'waits'],
  [
    'and refused by it',
    ICE,
    { operation: 'qdrant.Points/Upsert', target: IN_MESSAGE, found: { target: 'ice', others: [] } },
    frozen('ice'),
  ],
  [
    'a message without a name is refused',
    ICE,
    { operation: 'qdrant.Points/Upsert', target: IN_MESSAGE, found: { others: [] } },
    NOTHING_WRITTEN,
  ],
  ['no alias is set to it', ICE, { operation: 'aliases.update', found: { others: ['ice', 'live'] } }, frozen('ice')],
  ['what is about no collection goes on', ICE, { operation: 'cluster.remove_peer' }, 'passes'],
  ['an unknown operation may write', ICE, { operation: 'unlisted' }, NOTHING_WRITTEN],
  ['a general freeze lets read', { freeze: true }, { operation: 'points.scroll', target: on('a') }, 'passes'],
  [
    'it refuses a message before it is read',
    { freeze: true },
    { operation: 'qdrant.Points/Upsert', target: IN_MESSAGE },
    NOTHING_WRITTEN,
  ],
  ['it holds for the cluster', { freeze: true }, { operation: 'cluster.remove_peer' }, NOTHING_WRITTEN],
  ['it lets snapshots be made', { freeze: true }, { operation: 'snapshots.full.create' }, 'passes'],
  ['a freeze that is off', { freeze: false }, { operation: 'points.upsert', target: on('a') }, 'passes'],
  ['a protected collection is written', KEPT, { operation: 'points.upsert', target: on('kept') }, 'passes'],
  ['and not deleted', KEPT, { operation: 'collections.delete', target: on('kept') }, kept('kept')],
  ['nor one with its prefix', KEPT, { operation: 'collections.delete', target: on('prod-1') }, kept('prod-1')],
  ['another one is deleted', KEPT, { operation: 'collections.delete', target: on('Kept') }, 'passes'],
  ['its index stays', KEPT, { operation: 'index.delete', target: on('kept') }, kept('kept')],
  ['its vectors stay', KEPT, { operation: 'vectors.delete_name', target: on('kept') }, kept('kept')],
  ['it is not replaced', KEPT, { operation: 'snapshots.upload', target: on('kept') }, kept('kept')],
  ['an alias change is read', KEPT, { operation: 'aliases.update' }, 'waits'],
  ['an alias stays on it', KEPT, { operation: 'aliases.update', found: { others: ['a', 'kept'] } }, kept('kept')],
  ['an unknown operation may harm it', KEPT, { operation: 'unlisted' }, NAMELESS],
  ['so may one of old releases', KEPT, { operation: 'legacy.collections.change' }, NAMELESS],
  [
    'it is deleted when it is named',
    KEPT,
    { operation: 'collections.delete', target: on('kept'), headers: ['a', 'b', CONFIRM, 'kept'] },
    'passes',
  ],
  [
    'not when another one is named',
    KEPT,
    { operation: 'collections.delete', target: on('kept'), headers: [CONFIRM, 'prod-1'] },
    kept('kept'),
  ],
  [
    'nor by a pattern',
    KEPT,
    { operation: 'collections.delete', target: on('prod-1'), headers: [CONFIRM, 'prod-*'] },
    kept('prod-1'),
  ],
  [
    'nor by a value under another name',
    KEPT,
    { operation: 'collections.delete', target: on('kept'), headers: ['kept', CONFIRM] },
    kept('kept'),
  ],
  [
    'each protected name has to be named',
    KEPT,
    { operation: 'aliases.update', found: { others: ['kept', 'prod-1'] }, headers: [CONFIRM, 'kept'] },
    kept('prod-1'),
  ],
  [
    'in headers of their own',
    KEPT,
    {
      operation: 'aliases.update',
      found: { others: ['kept', 'prod-1'] },
      headers: [CONFIRM, 'kept', CONFIRM.toLowerCase(), 'prod-1'],
    },
    'passes',
  ],
  [
    'a name beyond ASCII is compared by its bytes',
    { protected: ['prod-*'] },
    {
      operation: 'collections.delete',
      target: on('prod-é'),
      headers: [CONFIRM, Buffer.from('prod-é').toString('latin1')],
    },
    'passes',
  ],
];

t.test('what guards forbid', async (test) => {
  for (const [name, guard, asked, answer] of ROWS) test.equal(told([guard], asked), answer, name);
});

/**
 * Class of every row above the level `read`: what a freeze lets pass, what it refuses, and what a protection refuses as well, since
 * a collection, an index or a vector of it, or the meaning of its name is lost.
 */
const CLASSES: Readonly<Record<'reads' | 'writes' | 'loses', string>> = {
  reads: `
  service.stacktrace debugger.get profiler.slow_requests profiler.consensus_lag audit.logs snapshots.create
  snapshots.full.create shard_snapshots.create shard_snapshots.stream partial_snapshots.create staging.shard_wal
  staging.recovery_point qdrant.Snapshots/Create qdrant.Snapshots/CreateFull`,
  writes: `
  service.logger.update issues.clear debugger.update quotas.update cluster.recover cluster.remove_peer
  cluster.metadata.put cluster.metadata.delete collections.create collections.update shard_keys.create
  vectors.create_name snapshots.delete snapshots.full.delete shard_snapshots.delete points.upsert points.delete
  points.update_vectors points.delete_vectors points.set_payload points.overwrite_payload points.delete_payload
  points.clear_payload points.batch index.create local_shard.cleanup staging.debug legacy.locks.set
  legacy.local_shard.delete legacy.staging.points qdrant.Collections/Create qdrant.Collections/Update
  qdrant.Collections/CreateShardKey qdrant.Points/Upsert qdrant.Points/Delete qdrant.Points/UpdateVectors
  qdrant.Points/DeleteVectors qdrant.Points/SetPayload qdrant.Points/OverwritePayload
  qdrant.Points/DeletePayload qdrant.Points/ClearPayload qdrant.Points/UpdateBatch
  qdrant.Points/CreateFieldIndex qdrant.Points/CreateVectorName qdrant.Snapshots/Delete
  qdrant.Snapshots/DeleteFull`,
  loses: `
  collection.truncate_wal aliases.update collections.delete collections.cluster.update shard_keys.delete
  vectors.delete_name snapshots.upload snapshots.recover shard_snapshots.recover shard_snapshots.upload
  partial_snapshots.recover partial_snapshots.recover_from index.delete legacy.collections.change
  legacy.points.change qdrant.Collections/Delete qdrant.Collections/UpdateAliases
  qdrant.Collections/UpdateCollectionClusterSetup qdrant.Collections/DeleteShardKey
  qdrant.Points/DeleteFieldIndex qdrant.Points/DeleteVectorName`,
};

t.test('every operation above the level `read` has a class', async (test) => {
  const classed = new Map(
    Object.entries(CLASSES).flatMap(([one, names]) =>
      names
        .trim()
        .split(/\s+/)
        .map((name) => [name, one] as const),
    ),
  );
  const rows = [...REST_OPERATIONS, ...GRPC_OPERATIONS].filter(({ requires }) => requires.level !== 'read');
  for (const row of rows) {
    const found = isLossy(row) ? 'loses' : isWrite(row) ? 'writes' : 'reads';
    test.equal(
      found,
      classed.get(row.name),
      `${row.name} is in the list of its class, and src/policy/guards/guard-rails.ts agrees`,
    );
  }
  const known = new Set(rows.map(({ name }) => name));
  test.same(
    [...classed.keys()].filter((name) => !known.has(name)),
    [],
    'no name is left over',
  );
  test.ok(ALL.filter(({ requires }) => requires.level === 'read').every((row) => !isWrite(row) && !isLossy(row)));
});

t.test('no row that reads points or makes them is taken for one that loses a collection', async (test) => {
  const lossy = ALL.filter(isLossy).map(({ name }) => name);
  test.same(
    lossy.filter((name) => /query|search|scroll|upsert|create|payload/.test(name)),
    [],
  );
  test.same(ALL.filter((row) => row.requires.level === 'read' && isWrite(row)).length, 0);
  const deletes = ALL.filter(({ audit }) =>
    /^(delete_collection|drop_payload_index|delete_named_vector)$/.test(audit ?? ''),
  );
  test.ok(deletes.length >= 6);
  test.ok(deletes.every(isLossy), 'each row with one of these audit names loses something');
});

const name = fc.constantFrom('ice', 'kept', 'prod-1', 'cold-1', 'other');
const pattern = fc.oneof(name, fc.constantFrom('prod-*', 'cold-*', '*'));
const guard = fc.record(
  {
    protected: fc.array(pattern, { minLength: 1 }),
    freeze: fc.oneof(fc.boolean(), fc.array(pattern, { minLength: 1 })),
  },
  { requiredKeys: [] },
);
const asked = fc.record({
  operation: fc.constantFrom(...ALL.map((row) => row.name)),
  target: fc.oneof(name.map(on), fc.constant(IN_MESSAGE), fc.constant(NO_TARGET)),
  found: fc.record({ target: name, others: fc.array(name) }),
  headers: fc.constantFrom([], [CONFIRM, 'kept'], [CONFIRM, 'prod-1']),
});

t.test('a further guard never allows more, and their order changes nothing', async (test) => {
  const ids = (guards: readonly Partial<GuardSettings>[]) => guards.map((one, at) => ({ ...one, id: `n${at}` }));
  fc.assert(
    fc.property(fc.array(guard), guard, asked, (guards, more, request) => {
      const named = ids([...guards, more]);
      const before = told(named.slice(0, -1), request);
      const after = told(named, request);
      const allowed = (answer: string): boolean => answer === 'passes';
      if (allowed(after) && !allowed(before)) throw new Error(`${before}, then ${after}`);
      const turned = told([...named].reverse(), request);
      if (turned !== after) throw new Error(`${after}, and in another order ${turned}`);
    }),
    { numRuns: runs(300) },
  );
  test.pass();
});

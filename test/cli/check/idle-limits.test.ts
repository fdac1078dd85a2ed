import t from 'tap';
import { idleLimits } from '../../../src/cli/check/idle-limits.ts';
import type { LimitSettings } from '../../../src/policy/limits/limits.ts';

/* Limits that can never apply: what check-config warns of. */

const ONCE = { requests: { per: 'day', most: 1 } } as const;
const COST = { cost: { per: 'day', most: 1 } } as const;

const CASES: readonly (readonly [name: string, Partial<LimitSettings>, told: RegExp | undefined])[] = [
  ['all operations', { ...COST, each: 'collection', collections: ['docs'] }, undefined],
  ['a search on collections', { ...COST, operations: ['search'], collections: ['docs*'] }, undefined],
  [
    'one operation of several',
    { ...ONCE, operations: ['list_collections', 'upsert_points'], each: 'collection' },
    undefined,
  ],
  ['an upload of a snapshot', { ...ONCE, operations: ['snapshots.upload'], each: 'collection' }, undefined],
  [
    'no collection',
    { ...ONCE, operations: ['create_full_snapshot'], each: 'collection' },
    /never applies.*each: collection/,
  ],
  [
    'a list on collections',
    { ...ONCE, operations: ['list_collections'], collections: ['docs'] },
    /never applies.*`collections`/,
  ],
  ['a whole collection', { ...ONCE, operations: ['create_collection'], each: 'collection' }, /never applies/],
  ['a cost of nothing', { ...COST, operations: ['get_collection'] }, /cost nothing.*never applies/],
  [
    'a cost of nothing beside requests',
    { ...COST, ...ONCE, operations: ['get_collection'] },
    /cost nothing \(`get_collection`\)$/,
  ],
  ['the same for all collections', { ...ONCE, operations: ['create_full_snapshot'], each: 'all' }, undefined],
];

for (const [name, more, told] of CASES) {
  t.test(`a limit on ${name} is ${told ? 'told' : 'fine'}`, async (t) => {
    const found = idleLimits([{ id: 'x', mode: 'enforce', each: 'principal', ...more }], 'policy.yaml');
    if (!told) t.same(found, []);
    else t.match(found, [{ place: 'policy.yaml', message: told }]);
  });
}

import fc from 'fast-check';
import t from 'tap';
import { fieldOf } from '../../../src/policy/tenants/payload-path.ts';
import { type TenantCaller, type TenantSettings, tenancyOf, tenantsOf } from '../../../src/policy/tenants/settings.ts';
import { rulingOn, type Tenancy, type TenantRuling } from '../../../src/policy/tenants/tenancy.ts';
import { conditionsOn } from '../../../src/policy/tenants/within.ts';
import { runs } from '../../support/generators/runs.ts';

/** Properties of entries: each only narrows what the others leave, in any order. */

const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 });
const pattern = fc.tuple(name, fc.boolean()).map(([text, prefix]) => (prefix ? `${text}*` : text));
const value = fc.constantFrom('x', 'y', '1', 1, true);
const holds = fc.oneof(
  fc.constant({ free: true } as const),
  fc.record({ field: fc.constantFrom('t', 'u.v'), value }),
  fc.record({ field: fc.constantFrom('t', 'u.v'), values: fc.uniqueArray(value, { minLength: 1 }) }),
  fc.record({ field: fc.constantFrom('t', 'u.v'), from: fc.constantFrom('org', 'gone') }),
);
const entry: fc.Arbitrary<TenantSettings> = fc
  .tuple(
    fc.uniqueArray(pattern, { minLength: 1, maxLength: 3 }),
    holds,
    fc.record({ keys: fc.option(fc.constant(['k']), { nil: undefined }), shared_statistics: fc.boolean() }),
  )
  .map(([collections, condition, more]) => ({ id: 'e', collections, ...more, ...condition }));
const entries = fc.array(entry, { maxLength: 5 });

const CALLER: TenantCaller = {
  ...{ keyId: 'k', subject: undefined, credential: 'tokens' as const },
  valuesFrom: (claim) => (claim === 'org' ? ['acme'] : undefined),
};
const NOTHING: Tenancy = { scopes: [] };

const tenancy = (settings: readonly TenantSettings[]): Tenancy => tenancyOf(tenantsOf(settings), CALLER) ?? NOTHING;

/** Does a point with these values meet the ruling? */
function meets(ruling: TenantRuling, point: Readonly<Record<string, unknown>>): boolean {
  if (ruling === 'free') return true;
  if (typeof ruling === 'string') return false;
  return ruling.every(({ field, values }) => values.some((one) => one === point[field.join('.')]));
}
const points = ['x', 'y', '1', 1n, true, 'acme', undefined].flatMap((one) =>
  ['x', 'acme', undefined].map((other) => ({ t: one, 'u.v': other })),
);
/** All points that a tenancy lets through. */
const seen = (settings: readonly TenantSettings[], collection: string): string =>
  points.map((point) => (meets(rulingOn(tenancy(settings), collection), point) ? '1' : '0')).join('');

t.test('the order of entries changes nothing', async (t) => {
  fc.assert(
    fc.property(entries, name, (settings, collection) => {
      t.equal(seen(settings.toReversed(), collection), seen(settings, collection));
    }),
    { numRuns: runs(400) },
  );
});

t.test('where an entry covers a collection already, another one adds no point', async (t) => {
  fc.assert(
    fc.property(entries, entry, name, (settings, more, collection) => {
      if (rulingOn(tenancy(settings), collection) === 'none') return;
      const [before, after] = [seen(settings, collection), seen([...settings, more], collection)];
      t.notOk([...after].some((bit, at) => bit === '1' && before[at] === '0'));
    }),
    { numRuns: runs(400) },
  );
});

t.test('an entry gives nothing on collections that it does not cover', async (t) => {
  fc.assert(
    fc.property(entries, entry, name, (settings, more, collection) => {
      const covered = more.collections.some((one) =>
        one.endsWith('*') ? collection.startsWith(one.slice(0, -1)) : one === collection,
      );
      if (!covered) t.equal(seen([...settings, more], collection), seen(settings, collection));
    }),
    { numRuns: runs(400) },
  );
});

t.test('a pattern matches exactly what begins with it', async (t) => {
  fc.assert(
    fc.property(name, name, (prefix, collection) => {
      const ruling = rulingOn(tenancy([{ id: 'e', collections: [`${prefix}*`], free: true }]), collection);
      t.equal(ruling, collection.startsWith(prefix) ? 'free' : 'none');
    }),
    { numRuns: runs(200) },
  );
});

t.test('sparse statistics are shared only if every condition allows it', async (t) => {
  fc.assert(
    fc.property(entries, name, (settings, collection) => {
      const conditions = conditionsOn(tenancy(settings), collection);
      if ('kind' in conditions) return;
      const own = settings.filter(
        (one) =>
          !one.free &&
          one.from !== 'gone' &&
          one.collections.some(
            (covered) =>
              covered === collection || (covered.endsWith('*') && collection.startsWith(covered.slice(0, -1))),
          ),
      );
      t.equal(
        conditions.every(({ sharedStatistics }) => sharedStatistics),
        own.every((one) => one.shared_statistics),
      );
    }),
    { numRuns: runs(200) },
  );
});

t.test('a field is a path of plain keys', async (t) => {
  t.strictSame(fieldOf('tenant_id'), ['tenant_id']);
  t.strictSame(fieldOf('a.b'), ['a', 'b']);
  t.strictSame(fieldOf('a."b c"'), ['a', 'b c']);
  t.strictSame(fieldOf('"a.b"'), ['a.b']);
  for (const text of ['', 'a.', '.a', 'a[]', 'a[0]', 'a[].b', '[]', 'a b', '""', 'a.""', '"a', 'a..b', 'a"b"']) {
    t.equal(fieldOf(text), undefined, text);
  }
});

t.test('an entry that says nothing throws, and does not allow everything', async (t) => {
  t.throws(() => tenantsOf([{ id: 'e', collections: ['a'] }]), /has no field/);
  t.throws(() => tenantsOf([{ id: 'e', collections: ['a'], field: 't' }]), /has no value/);
  t.throws(() => tenantsOf([{ id: 'e', collections: ['a'], field: 't[]', value: 'x' }]), /has no field/);
});

t.test('a tenancy that is asked for several collections in turn gives each its own ruling', async (t) => {
  const free: Tenancy = { scopes: [{ names: new Set(['a']), prefixes: [], holds: 'free' }] };
  const missing: Tenancy = { scopes: [{ names: new Set(['a']), prefixes: [], holds: 'missing' }] };
  for (let turn = 0; turn < 2; turn++) {
    t.equal(rulingOn(free, 'a'), 'free');
    t.equal(rulingOn(free, 'b'), 'none');
    t.equal(rulingOn(missing, 'a'), 'missing');
  }
});

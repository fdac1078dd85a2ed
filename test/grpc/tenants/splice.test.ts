import { type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import * as fc from 'fast-check';
import t from 'tap';
import { FRAME_ROOM, type TenantContext } from '../../../src/grpc/tenants/context.ts';
import { decode, encode, FIELDS } from '../../../src/grpc/tenants/messages/codec.ts';
import { FormCheck } from '../../../src/grpc/tenants/messages/form.ts';
import { rewriteDecoded, rewriteMessage, rewriteSoon } from '../../../src/grpc/tenants/rewrite.ts';
import { spliced } from '../../../src/grpc/tenants/splice/splice.ts';
import type { TenantCondition, TenantValue } from '../../../src/policy/tenants/tenancy.ts';
import { runs } from '../../support/generators/runs.ts';
import { drawing, mutated, wireMessage } from '../../support/tenants/wire-messages.ts';

/* Bytes put into messages are what decoding and encoding them gives; what would be refused then is never sent. */

const condition = (more: Partial<TenantCondition>, field: readonly string[], ...values: TenantValue[]) => ({
  ...{ id: 'shop', field, values, hides: false, sharedStatistics: false },
  ...more,
});
const ACME = condition({}, ['tenant'], 'acme');

const CONDITIONS: readonly (readonly TenantCondition[])[] = [
  [ACME],
  [ACME],
  [condition({}, ['tenant'], 7n)],
  [condition({}, ['tenant'], 'acme', 'umbrella')],
  [condition({}, ['meta', 'tenant'], 'acme')],
  [ACME, condition({}, ['colour'], true)],
  [ACME, condition({}, ['tenant'], 'umbrella')],
  [condition({ sharedStatistics: true }, ['tenant'], 'acme')],
  [condition({ hides: true }, ['tenant'], 'acme')],
  [condition({ hiddenFields: [['colour']] }, ['tenant'], 'acme')],
  [condition({ readOnlyFields: [['colour']] }, ['tenant'], 'acme')],
  [condition({ shard: { key: 'acme', fallback: undefined } }, ['tenant'], 'acme')],
];
const CONTEXTS: readonly TenantContext[] = CONDITIONS.flatMap((conditions) => {
  const scopes = conditions.map((holds) => ({ names: new Set(['docs']), prefixes: [], holds }));
  const context = { tenancy: { scopes }, collection: 'docs', conditions, mostBytes: 1 << 25 };
  return [
    { ...context, features: { updateFilter: true, idfCorpus: true }, idfVectors: new Set(['words']) },
    { ...context, features: { updateFilter: false, idfCorpus: false }, idfVectors: 'unasked' },
  ] as const;
});

const TYPES: readonly (readonly [method: string, type: string, official: DescMessage])[] = [
  ['Query', 'QueryPoints', q.QueryPointsSchema],
  ['QueryBatch', 'QueryBatchPoints', q.QueryBatchPointsSchema],
  ['QueryGroups', 'QueryPointGroups', q.QueryPointGroupsSchema],
  ['Search', 'SearchPoints', q.SearchPointsSchema],
  ['SearchBatch', 'SearchBatchPoints', q.SearchBatchPointsSchema],
  ['SearchGroups', 'SearchPointGroups', q.SearchPointGroupsSchema],
  ['Scroll', 'ScrollPoints', q.ScrollPointsSchema],
  ['Count', 'CountPoints', q.CountPointsSchema],
  ['Facet', 'FacetCounts', q.FacetCountsSchema],
  ['Upsert', 'UpsertPoints', q.UpsertPointsSchema],
];

const forms = new FormCheck(FIELDS);

/** What becomes of a message, in a form to be compared. */
function told(type: string, official: DescMessage, outcome: ReturnType<typeof rewriteMessage>) {
  if (typeof outcome === 'string') return outcome;
  if ('kind' in outcome) return { code: outcome.code, message: outcome.message };
  const { request, checks, answer, byIdAlone } = outcome;
  const own = encode(type, decode(type, request.message)).toString('hex');
  return { path: request.path, own, there: readBy(official, request.message), checks, answer, byIdAlone };
}

/** The numbers of vectors are read by upstream alone: some that are cut off cannot be. */
function readBy(official: DescMessage, message: Buffer): string {
  try {
    return Buffer.from(toBinary(official, fromBinary(official, message))).toString('hex');
  } catch {
    return 'unreadable';
  }
}

for (const [method, type, official] of TYPES) {
  t.test(`${type}: equal to what decoding gives`, async (t) => {
    let count = 0;
    const name = `qdrant.Points/${method}`;
    const property = fc.property(fc.nat(), fc.nat(), (seed, which) => {
      const draw = drawing(seed);
      const whole = wireMessage(type, draw);
      const bytes = draw(3) === 0 ? mutated(whole, draw) : whole;
      const context = CONTEXTS[which % CONTEXTS.length];
      if (!context || forms.faultOf(type, bytes)) return;
      const before = Buffer.from(bytes);
      const made = spliced(type, bytes, context);
      const expected = told(type, official, rewriteDecoded(name, bytes, context));
      if (!bytes.equals(before)) throw new Error('the message of the client was changed');
      if (!made) return;
      count += 1;
      if (forms.faultOf(type, made.message)) throw new Error('what was made has not the form of its type');
      const outcome = { request: { path: `/${name}`, message: made.message }, checks: [], answer: undefined, ...made };
      if (JSON.stringify(told(type, official, outcome)) !== JSON.stringify(expected))
        throw new Error(
          `${bytes.toString('hex')} becomes ${made.message.toString('hex')}, not ${JSON.stringify(expected)}`,
        );
    });
    fc.assert(property, { numRuns: runs(2000) });
    t.ok(count > 3, `${count} were put into bytes`);
  });
}

const FREE = { tenancy: { scopes: [] }, collection: 'docs', conditions: [], mostBytes: 1 << 25 } as const;
const WRITTEN: readonly TenantContext[] = [
  ...CONTEXTS,
  { ...FREE, features: { updateFilter: true, idfCorpus: true }, idfVectors: 'unasked' },
];

for (const [method, type, official] of [
  ['Upsert', 'UpsertPoints', q.UpsertPointsSchema],
  ['UpdateBatch', 'UpdateBatchPoints', q.UpdateBatchPointsSchema],
] as const) {
  t.test(`${type}: point by point equal to what decoding the whole gives`, async (t) => {
    let count = 0;
    const name = `qdrant.Points/${method}`;
    const property = fc.property(fc.nat(), fc.nat(), (seed, which) => {
      const draw = drawing(seed);
      const whole = wireMessage(type, draw);
      const bytes = draw(3) === 0 ? mutated(whole, draw) : whole;
      const context = WRITTEN[which % WRITTEN.length];
      if (!context || forms.faultOf(type, bytes)) return;
      const before = Buffer.from(bytes);
      const made = rewriteMessage(name, bytes, context);
      if (!bytes.equals(before)) throw new Error('the message of the client was changed');
      const [found, expected] = [made, rewriteDecoded(name, bytes, context)].map((outcome) =>
        JSON.stringify(told(type, official, outcome), (_, value) =>
          typeof value === 'bigint' ? String(value) : value,
        ),
      );
      if (found !== expected) throw new Error(`${bytes.toString('hex')} becomes ${found}, not ${expected}`);
      if (typeof made === 'object' && !('kind' in made)) count += 1;
    });
    fc.assert(property, { numRuns: runs(2000) });
    t.ok(count > 3, `${count} were made`);
  });
}

t.test('a message that is put into bytes is the outcome', async (t) => {
  const context = CONTEXTS[0];
  if (!context) throw new Error('there is a context');
  const scroll = Buffer.from('0a04646f6373', 'hex');
  const found = rewriteMessage('qdrant.Points/Scroll', scroll, context);
  const message = spliced('ScrollPoints', scroll, context)?.message ?? Buffer.alloc(0);
  const request = { path: '/qdrant.Points/Scroll', message, roomy: Buffer.concat([Buffer.alloc(FRAME_ROOM), message]) };
  t.strictSame(found, { request, checks: [], answer: undefined, byIdAlone: [] });
});

t.test('what the tenancy may be asked for later is decoded', async (t) => {
  const [context] = CONTEXTS;
  const scroll = Buffer.from('0a04646f6373', 'hex');
  if (!context) throw new Error('there is a context');
  t.ok(spliced('ScrollPoints', scroll, { ...context, tenancy: { ...context.tenancy } }));
  const more = { scopes: context.tenancy.scopes, namespaced: true };
  t.equal(spliced('ScrollPoints', scroll, { ...context, tenancy: more }), undefined);
  const [first] = context.tenancy.scopes;
  const scopes = [{ ...first, holds: { ...ACME, masked: true } }] as unknown as typeof context.tenancy.scopes;
  t.equal(spliced('ScrollPoints', scroll, { ...context, tenancy: { scopes } }), undefined);
});

t.test('what takes little time is told apart from what takes more', async (t) => {
  const [context] = CONTEXTS;
  if (!context) throw new Error('there is a context');
  const name = Buffer.from('0a04646f6373', 'hex');
  const point = Buffer.from('1a040a020801', 'hex');
  const upsert = (points: number) => Buffer.concat([name, ...Array.from({ length: points }, () => point)]);
  const soon = (bytes: Buffer) => rewriteSoon('qdrant.Points/Upsert', bytes, context);
  t.strictSame(soon(upsert(1000)), rewriteMessage('qdrant.Points/Upsert', upsert(1000), context));
  t.equal(soon(upsert(3000)), undefined, 'many small points');
  t.equal(soon(Buffer.concat([name, Buffer.from('1a020a00', 'hex')])), undefined, 'a point without an id is decoded');
  t.match(soon(Buffer.from([0x78, 1])), { kind: 'denial', code: 'tenant_form' });
});

import { type DescMessage, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import * as fc from 'fast-check';
import t from 'tap';
import { WireFault } from '../../../src/grpc/message/wire.ts';
import { hideFields, idsOf, retrieved } from '../../../src/grpc/tenants/change-answer.ts';
import { changeSoon } from '../../../src/grpc/tenants/thread/change-soon.ts';
import { INLINE_BYTES, Rewriter } from '../../../src/grpc/tenants/thread/rewriter.ts';
import { UPSTREAM_BROKEN } from '../../../src/policy/denial.ts';
import { runs } from '../../support/generators/runs.ts';
import { hiddenByDecoding, retrievedByDecoding } from '../../support/tenants/decoded-answers.ts';
import { wellFormed } from '../../support/tenants/well-formed.ts';
import { type Draw, drawing, mutated } from '../../support/tenants/wire-messages.ts';

/* Hidden fields are left out of the bytes of answers. What decoding the whole answer gives is right. */

const FIELDS = [['cost'], ['deep', 'er'], ['deep', 'er', 'most'], ['ä', 'cost', 'x'], ['']] as const;
const KEYS = ['cost', 'deep', 'er', 'most', 'ä', 'x', '', 'other'];
const UUID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';

function value(draw: Draw, depth = 0): unknown {
  const kind = draw(depth > 4 ? 5 : 9);
  if (kind < 5) return [null, 1.5, 'x'.repeat(draw(300)), true, 'cost'][kind];
  if (kind < 7) return Array.from({ length: draw(4) }, () => value(draw, depth + 1));
  return payload(draw, depth + 1);
}

function payload(draw: Draw, depth = 0): Record<string, unknown> {
  const keys = Array.from({ length: draw(5) }, () => KEYS[draw(KEYS.length)] ?? '');
  return Object.fromEntries(keys.map((key) => [key, value(draw, depth)]));
}

/** JSON of the wire form: `Value` as an object with its kind. */
function wire(of: unknown): unknown {
  if (of === null) return { nullValue: 'NULL_VALUE' };
  if (Array.isArray(of)) return { listValue: { values: of.map(wire) } };
  if (typeof of === 'object') return { structValue: { fields: wireFields(of) } };
  return { [{ string: 'stringValue', number: 'doubleValue', boolean: 'boolValue' }[typeof of as 'string']]: of };
}

function wireFields(of: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(of).map(([key, each]) => [key, wire(each)]));
}

const several = (draw: Draw, make: () => unknown): unknown[] => Array.from({ length: draw(4) }, make);
const points = (draw: Draw) =>
  several(draw, () => ({
    id: draw(3) === 0 ? { uuid: UUID } : { num: String(draw(5)) },
    payload: wireFields(payload(draw)),
    ...(draw(2) === 0 && { vectors: { vector: { data: [1, 2, draw(9)] } } }),
    ...(draw(3) === 0 && { orderValue: { int: '7' } }),
  }));
const rest = (draw: Draw) => ({ time: draw(9) / 8, ...(draw(2) === 0 && { usage: { hardware: { cpu: '5' } } }) });
const groups = (draw: Draw) =>
  several(draw, () => ({ id: { stringValue: 'a' }, hits: points(draw), lookup: { id: { num: '1' } } }));

type Kind = readonly [method: string, type: string, official: DescMessage, result: (draw: Draw) => unknown];
const KINDS: readonly Kind[] = [
  ['Search', 'SearchResponse', q.SearchResponseSchema, points],
  ['Query', 'SearchResponse', q.QueryResponseSchema, points],
  ['Scroll', 'ScrollResponse', q.ScrollResponseSchema, points],
  [
    'QueryBatch',
    'SearchBatchResponse',
    q.QueryBatchResponseSchema,
    (draw) => several(draw, () => ({ result: points(draw) })),
  ],
  ['QueryGroups', 'SearchGroupsResponse', q.QueryGroupsResponseSchema, (draw) => ({ groups: groups(draw) })],
];

const encoded = (official: DescMessage, json: unknown): Buffer =>
  Buffer.from(toBinary(official, fromJson(official, json as never)));
const read = (official: DescMessage, bytes: Buffer): unknown => toJson(official, fromBinary(official, bytes));

/** The hidden fields in a payload's wire form. */
function found(of: unknown, field: readonly string[]): boolean {
  if (typeof of !== 'object' || of === null) return false;
  const { structValue, listValue } = of as { structValue?: { fields?: object }; listValue?: { values?: unknown[] } };
  if (listValue?.values?.some((each) => found(each, field))) return true;
  return foundIn(structValue?.fields ?? {}, field);
}

function foundIn(fields: object, [first = '', ...more]: readonly string[]): boolean {
  const held = (fields as Record<string, unknown>)[first];
  return held !== undefined && (more.length === 0 || found(held, more));
}

/** All payloads in an answer but those of a lookup, which come from another collection, granted without a condition. */
function payloads(of: unknown): object[] {
  if (typeof of !== 'object' || of === null) return [];
  return Object.entries(of).flatMap(([key, each]) => {
    if (key === 'lookup') return [];
    return key === 'payload' ? [each as object] : payloads(each);
  });
}

for (const [method, type, official, result] of KINDS) {
  const path = `/qdrant.Points/${method}`;
  const message = (draw: Draw) => encoded(official, { result: result(draw), ...rest(draw) });

  t.test(`${method}: an answer becomes what decoding gives`, async (t) => {
    let hidden = 0;
    const property = fc.property(fc.nat(), (seed) => {
      const draw = drawing(seed);
      const bytes = message(draw);
      const fields = FIELDS.slice(draw(FIELDS.length));
      const changed = hideFields(path, bytes, fields);
      const expected = hiddenByDecoding(type, bytes, fields);
      if (changed.length < bytes.length) hidden += 1;
      t.strictSame(read(official, changed), read(official, expected), bytes.toString('hex'));
    });
    fc.assert(property, { numRuns: runs(400) });
    t.ok(hidden > 5, `${hidden} answers had hidden fields`);
  });

  t.test(`${method}: bytes that are no such answer are refused, or have no hidden field`, async (t) => {
    let told = 0;
    const property = fc.property(fc.nat(), (seed) => {
      const draw = drawing(seed);
      const bytes = mutated(message(draw), draw);
      let shown: unknown;
      try {
        const changed = hideFields(path, bytes, FIELDS);
        if (!wellFormed(official, changed)) return;
        shown = read(official, changed);
      } catch {
        return;
      }
      told += 1;
      for (const each of payloads(shown))
        if (FIELDS.some((field) => foundIn(each, field))) throw new Error(`${bytes.toString('hex')} shows a field`);
    });
    fc.assert(property, { numRuns: runs(2000) });
    t.ok(told > 10, `${told} can be read`);
  });
}

t.test('retrieved points are what decoding gives, in the order asked', async (t) => {
  const official = q.ScrollResponseSchema;
  const ids = [3n, UUID, 0n, 7n, 1n];
  const property = fc.property(fc.nat(), (seed) => {
    const draw = drawing(seed);
    const bytes = encoded(official, { result: points(draw), ...rest(draw), nextPageOffset: { num: '4' } });
    const fields = FIELDS.slice(draw(FIELDS.length + 1));
    const changed = retrieved(bytes, { kind: 'retrieved', ids, one: false, fields });
    const expected = retrievedByDecoding(bytes, ids, fields);
    t.strictSame(read(q.GetResponseSchema, changed), read(q.GetResponseSchema, expected), bytes.toString('hex'));
  });
  fc.assert(property, { numRuns: runs(400) });
});

t.test('the ids of a scroll are read, of 64 bits, too', async (t) => {
  const ids = [{ num: '18446744073709551615' }, { uuid: UUID.toUpperCase() }, { num: '0' }];
  const bytes = encoded(q.ScrollResponseSchema, { result: ids.map((id) => ({ id })) });
  t.strictSame([...idsOf(bytes).keys()], [18_446_744_073_709_551_615n, UUID, 0n]);
  t.throws(() => idsOf(encoded(q.ScrollResponseSchema, { result: [{}] })), WireFault, 'a point without an id');
});

/** A field of bytes, with its length. */
const held = (tag: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, content.length]), content]);
};
const text = (tag: number, of: string) => held(tag, Buffer.from(of));

t.test('what is not known on the way to a hidden field is left out, and elsewhere it stays', async (t) => {
  const scroll = (...entry: Buffer[]) => held(0x12, held(0x12, ...entry), Buffer.from('9a0301ff', 'hex'));
  const deep = text(0x0a, 'deep');
  const cases: readonly (readonly [string, Buffer, Buffer | undefined])[] = [
    ['a value of another form', scroll(deep, held(0x12, text(0x42, 'er'))), scroll(deep, held(0x12))],
    [
      'another field of an object',
      scroll(deep, held(0x12, held(0x32, text(0x12, 'er')))),
      scroll(deep, held(0x12, held(0x32))),
    ],
    [
      'a value elsewhere',
      scroll(text(0x0a, 'other'), held(0x12, text(0x42, 'er'))),
      scroll(text(0x0a, 'other'), held(0x12, text(0x42, 'er'))),
    ],
    ['a key behind the value', scroll(held(0x12), text(0x0a, 'cost')), undefined],
    ['two keys', scroll(text(0x0a, 'other'), text(0x0a, 'cost')), undefined],
    ['another field of an entry', scroll(text(0x0a, 'other'), held(0x1a)), undefined],
    ['a length beyond the end', Buffer.from('12081205', 'hex'), undefined],
  ];
  for (const [name, bytes, expected] of cases) {
    const change = () => hideFields('/qdrant.Points/Scroll', bytes, FIELDS);
    if (expected) t.equal(change().toString('hex'), expected.toString('hex'), name);
    else t.throws(change, WireFault, name);
  }
});

t.test('large answers are changed on the thread', async (t) => {
  const rewriter = new Rewriter((error) => t.fail(String(error)));
  // The thread keeps no process from ending.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const many = Array.from({ length: 3000 }, (_, num) => ({
    id: { num: String(num) },
    payload: wireFields({ cost: 'x'.repeat(20), other: 1 }),
  }));
  const bytes = encoded(q.ScrollResponseSchema, { result: many });
  t.ok(bytes.length > INLINE_BYTES);
  const answer = { path: '/qdrant.Points/Scroll', change: { kind: 'hide', fields: [['cost']] } } as const;
  const expected = { kind: 'message', message: hideFields(answer.path, bytes, [['cost']]) };
  const open = new AbortController();
  const change = (message: Buffer, signal = open.signal) =>
    changeSoon(rewriter, answer, Buffer.from(message), { owner: 'acme', signal });
  const left = new AbortController();
  const first = change(bytes);
  const given = change(bytes, left.signal);
  const third = change(bytes);
  left.abort();
  t.strictSame(await given, UPSTREAM_BROKEN, 'one that is given up waits no longer');
  t.strictSame(await first, expected);
  t.strictSame(await third, expected, 'and the one behind it is changed');
  t.strictSame(await change(Buffer.alloc(70_000, 0xff)), UPSTREAM_BROKEN, 'bytes that are no answer');
  t.strictSame(await change(bytes), expected, 'the thread goes on');
  t.strictSame(await change(Buffer.alloc(8, 0xff)), UPSTREAM_BROKEN, 'a small one that is no answer');
  t.strictSame(await change(bytes, AbortSignal.abort()), UPSTREAM_BROKEN);
});

t.test('a large answer of one tenant keeps no smaller one of another waiting', async (t) => {
  const rewriter = new Rewriter((error) => t.fail(String(error)));
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  const of = (count: number) =>
    encoded(q.ScrollResponseSchema, {
      result: Array.from({ length: count }, (_, num) => ({
        id: { num: String(num) },
        payload: wireFields({ cost: 'x'.repeat(20), other: 1 }),
      })),
    });
  const small = of(1000);
  const large = Buffer.concat(Array.from({ length: 600 }, () => small));
  t.ok(small.length > INLINE_BYTES && large.length > 24 << 20);
  const answer = { path: '/qdrant.Points/Scroll', change: { kind: 'hide', fields: [['cost']] } } as const;
  const change = (message: Buffer, owner: string) =>
    changeSoon(rewriter, answer, Buffer.from(message), { owner, signal: new AbortController().signal });
  await change(small, 'umbrella');
  const order: string[] = [];
  const first = change(large, 'acme').then(() => order.push('large'));
  const second = change(small, 'umbrella').then(() => order.push('small'));
  await Promise.all([first, second]);
  t.strictSame(order, ['small', 'large']);
});

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { createInspector, inspectWhole } from '../../../src/grpc/message/inspect.ts';
import { NAME_FREE_FIELDS, requestShape } from '../../../src/grpc/message/inspect-shapes.ts';
import { isSound } from '../../../src/grpc/message/name-free.ts';
import { MAX_NESTING, NESTED_TOO_DEEP } from '../../../src/grpc/message/wire.ts';
import { resolveGrpc } from '../../../src/grpc/resolve.ts';
import { runs } from '../../support/generators/runs.ts';

const PATHS = ['/qdrant.Points/Upsert', '/qdrant.Points/Query', '/qdrant.Points/Scroll', '/qdrant.Points/SetPayload'];
const NAME = Buffer.from([0x0a, 4, 0x64, 0x6f, 0x63, 0x73]); // collection_name: "docs"
/** In a `Filter`, `must`; in a `Condition`, the filter. */
const MUST = 1;
const FILTER = 4;
const QUERY_FILTER = 5;

function varint(value: number, padding = 0): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 0x80 && bytes.length >= padding) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}

function field(number: number, type: number, content: Buffer, padding = 0): Buffer {
  const length = type === 2 ? [varint(content.length, padding)] : [];
  return Buffer.concat([varint(number * 8 + type, padding), ...length, content]);
}

function filterOf(levels: number, inner: Buffer = Buffer.alloc(0)): Buffer {
  let content = inner;
  for (let level = levels; level > 0; level--) content = field(level % 2 === 1 ? MUST : FILTER, 2, content);
  return content;
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** What comes of a message that is there whole, and of the same byte by byte. */
function bothWays(path: string, message: Buffer): [whole: unknown, bytewise: unknown] {
  const { operation } = resolveGrpc(path);
  const stream = framed(message);
  const inspector = createInspector(operation, { encoding: undefined });
  for (const byte of stream) inspector.push(Buffer.of(byte));
  inspector.end();
  const around = Buffer.concat([Buffer.of(0xff), stream, Buffer.from([0x0a, 0x00])]);
  const whole = inspectWhole(operation, undefined, around, 1, 1 + stream.length);
  if (!whole || 'kind' in whole) return [whole, inspector.refusal];
  return [{ target: whole.target, others: whole.others }, inspector.named ?? inspector.refusal];
}

const number = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(104, 105, 106, 127, 128, 300, 20_000));
const scalar = fc.oneof(
  fc.tuple(
    number,
    fc.constant(0),
    fc.maxSafeNat().map((value) => varint(value)),
  ),
  fc.tuple(
    number,
    fc.constant(1),
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
  ),
  fc.tuple(
    number,
    fc.constant(5),
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  ),
  fc.tuple(
    number,
    fc.constant(2),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  ),
  fc.tuple(number, fc.integer({ min: 3, max: 7 }), fc.constant(Buffer.alloc(0))),
);
const padding = fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(9) });
const { message: soup } = fc.letrec<{ message: Buffer; one: Buffer }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 8, withCrossShrink: true },
    fc.tuple(scalar, padding).map(([[key, type, content], pad]) => field(key, type, content, pad)),
    fc.tuple(number, tie('message'), padding).map(([key, content, pad]) => field(key, 2, content, pad)),
    fc.tuple(fc.nat(MAX_NESTING + 8), tie('message')).map(([levels, content]) => filterOf(levels, content)),
  ),
  message: fc.array(tie('one'), { maxLength: 4 }).map((parts) => Buffer.concat(parts)),
}));

t.test('a message that is there whole is told as byte by byte, whatever is in it', async (t) => {
  const met = { found: 0, refused: 0 };
  const top = fc.constantFrom(2, 3, QUERY_FILTER, 6);
  const damage = fc.option(fc.tuple(fc.nat(), fc.nat(255)), { nil: undefined, freq: 3 });
  fc.assert(
    fc.property(fc.constantFrom(...PATHS), top, soup, damage, (path, key, content, damaged) => {
      const message = Buffer.concat([NAME, field(key, 2, content)]);
      if (damaged) message[damaged[0] % message.length] = damaged[1];
      const [whole, bytewise] = bothWays(path, message);
      assert.deepEqual(whole, bytewise, message.toString('hex'));
      met[typeof whole === 'object' && whole !== null && 'kind' in whole ? 'refused' : 'found'] += 1;
    }),
    { numRuns: runs(20_000) },
  );
  t.ok(met.found > runs(1000) && met.refused > runs(1000), JSON.stringify(met));
});

t.test('as deep as allowed passes and one deeper does not, whole or not, alone or behind others', async (t) => {
  const filler = field(QUERY_FILTER, 2, filterOf(40));
  for (const before of [
    Buffer.alloc(0),
    filler,
    Buffer.concat([filler, field(99, 3, Buffer.alloc(0)), field(99, 4, Buffer.alloc(0))]),
  ]) {
    // The filter is a level itself.
    const fits = Buffer.concat([NAME, before, field(QUERY_FILTER, 2, filterOf(MAX_NESTING - 1))]);
    const deeper = Buffer.concat([NAME, before, field(QUERY_FILTER, 2, filterOf(MAX_NESTING))]);
    for (const outcome of bothWays('/qdrant.Points/Query', fits)) t.same(outcome, { target: 'docs', others: [] });
    for (const outcome of bothWays('/qdrant.Points/Query', deeper)) t.equal(outcome, NESTED_TOO_DEEP);
  }
});

t.test('the quick way says yes to what it should be quick for', async (t) => {
  const { nameFree } = filterShape();
  t.ok(nameFree > 0, 'a filter holds no name');
  const cases: readonly [name: string, message: Buffer, budget: number, sound: boolean][] = [
    ['nothing', Buffer.alloc(0), 5, true],
    ['levels to the budget', filterOf(5), 5, true],
    ['one level more', filterOf(6), 5, false],
    ['many side by side', Buffer.concat(Array.from({ length: 200 }, () => filterOf(4))), 5, true],
    ['a length that is too long', Buffer.from([0x0a, 0x05, 0x22, 0x00]), 5, false],
    ['a group', Buffer.from([0x9b, 0x06, 0x9c, 0x06]), 5, false],
    ['a message as a number', Buffer.from([0x08, 0x01]), 5, false],
    ['field 0', Buffer.from([0x02, 0x00]), 5, false],
    ['a number that does not end', Buffer.from([0x98, 0x06, 0x80]), 5, false],
  ];
  for (const [name, message, budget, sound] of cases) {
    const around = Buffer.concat([Buffer.of(0x80), message, Buffer.alloc(8)]);
    t.equal(isSound(nameFree, around, 1, 1 + message.length, budget), sound, name);
  }
});

t.test('where a name can stand the quick way does not go', async (t) => {
  const query = requestShape(resolveGrpc('/qdrant.Points/Query').operation);
  const naming = { 2: 'a prefetch', 14: 'a lookup' };
  for (const [key, what] of Object.entries(naming)) {
    const rule = query.rules[Number(key)];
    t.equal(rule?.kind === 'message' ? rule.shape.nameFree : undefined, 0, what);
  }
  t.ok(
    NAME_FREE_FIELDS.some((held) => held > 0),
    'and there is something it goes through',
  );
});

function filterShape() {
  const rule = requestShape(resolveGrpc('/qdrant.Points/Query').operation).rules[QUERY_FILTER];
  if (rule?.kind !== 'message') throw new TypeError('a query has a filter');
  return rule.shape;
}

import { gzipSync } from 'node:zlib';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import t from 'tap';
import { createInspector, type InspectorState } from '../../../src/grpc/message/inspect.ts';
import { type Fields, MESSAGES } from '../../../src/grpc/message/request-messages.ts';
import { resolveGrpc } from '../../../src/grpc/resolve.ts';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import type { Access, CollectionMode, ListAccess } from '../../../src/policy/access.ts';
import { decide, decidePublic, type Permit, type References, settle } from '../../../src/policy/decide.ts';
import type { Denial } from '../../../src/policy/denial.ts';
import { runs } from '../../support/generators/runs.ts';
import { stopwatch, timesDearer } from '../../support/reference.ts';
import { type CaseFile, loadCaseFile } from '../../support/verdicts/cells.ts';
import { grpcVerdicts } from '../../support/verdicts/grpc.ts';
import { accessOf } from '../../support/verdicts/principals.ts';
import { Deviations } from '../../support/verdicts/verdicts.ts';
import { callOutcome, wireGrpcVerdicts } from '../../support/verdicts/wire.ts';

interface NamingCase {
  readonly path: string;
  readonly variant?: string;
  readonly hex: string;
  readonly names?: readonly string[];
}

function list(modes: Record<string, CollectionMode>): ListAccess {
  return { kind: 'list', modes: new Map(Object.entries(modes)) };
}

function framed(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag, 0);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The whole way of a request without a socket. */
function judge(path: string, access: Access, stream: Buffer, encoding?: string): Permit | Denial {
  const { operation, target } = resolveGrpc(path);
  const decision = decidePublic(operation) ?? decide(access, operation, target);
  if (decision.kind !== 'conditional') return decision;
  const inspector = createInspector(operation, { encoding });
  inspector.push(stream);
  inspector.end();
  const found = inspector.found(decision.access);
  if (!found) throw new Error('still reading at the end');
  return 'kind' in found ? found : settle(decision, found);
}

function verdictOf(answer: Permit | Denial): string {
  return answer.kind === 'permit' ? 'served' : `${answer.grpc} ${answer.message}`;
}

for (const file of ['verdicts-grpc.json', 'cross-grpc.json']) {
  t.test(`the verdicts of ${file} are reproduced with their texts`, async (t) => {
    const deviations = new Deviations(file);
    let count = 0;
    for (const verdict of grpcVerdicts()) {
      if (verdict.file !== file || verdict.grant === null) continue; // authentication answers these
      const { method, message } = verdict.request;
      const outcome = verdictOf(judge(method, accessOf(verdict.grant), framed(message)));
      count += 1;
      t.equal(deviations.settled(outcome, verdict), verdict.recorded, `${verdict.case} as ${verdict.principal}`);
    }
    t.strictSame(deviations.stale(), [], 'every listed deviation is one');
    t.ok(count > 1000, `${count} verdicts compared`);
  });
}

t.test('names are found in the recorded checking order', async (t) => {
  for (const verdict of loadCaseFile<CaseFile<NamingCase>>('cross-grpc.json').cases) {
    if (!verdict.names || verdict.variant?.includes('twice, last')) continue; // listed deviations
    const found = inspect(verdict.path, [framed(Buffer.from(verdict.hex, 'hex'))]);
    t.same('others' in found && found.others, [...new Set(verdict.names)], `${verdict.path} ${verdict.variant}`);
  }
});

/** A list that opens every name, so that only the message itself can be refused. */
const anything: ListAccess = {
  kind: 'list',
  modes: new (class extends Map<string, CollectionMode> {
    override has(): boolean {
      return true;
    }
  })(),
};

function inspect(path: string, chunks: readonly Buffer[], encoding?: string): References | Denial {
  const inspector = createInspector(resolveGrpc(path).operation, { encoding });
  for (const chunk of chunks) inspector.push(chunk);
  inspector.end();
  const found = inspector.found(anything);
  if (!found) throw new Error('still reading at the end');
  return found;
}

t.test('recorded wire cases get the recorded code', async (t) => {
  // Upstream validates fields that name no collection before it checks access; the gateway does not know them.
  const leftToUpstream = new Set([
    'batch inner name empty',
    'packed float bad len',
    'limit as fixed32',
    'limit as bytes (packed)',
  ]);
  const deviations = new Deviations('wire-grpc.json');
  let count = 0;
  for (const verdict of wireGrpcVerdicts()) {
    const { grant, request, recorded } = verdict;
    if (typeof grant !== 'object' || grant === null) continue;
    count += 1;
    const answer = judge(request.path, list(grant), request.bytes ?? Buffer.alloc(0), request.encoding[0]);
    const outcome = answer.kind === 'permit' ? 'served' : callOutcome(verdict, answer.grpc, answer.message);
    t.equal(deviations.settled(outcome, verdict), recorded, verdict.case);
    if (outcome === 'served') t.equal(request.code !== 0, leftToUpstream.has(verdict.case), `${verdict.case}: passes`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.ok(count > 70, `${count} cases compared`);
});

// An independent reader: the whole message, recursively, with the official wire library.
interface Type {
  readonly target?: number;
  readonly name?: number;
  readonly lookupFrom?: number;
  readonly withLookup?: number;
  readonly carriers?: () => Record<number, Type>;
}
const location: Type = { name: 1 };
const prefetch: Type = { lookupFrom: 8, carriers: () => ({ 1: prefetch }) };
const queryGroups: Type = { target: 1, lookupFrom: 10, withLookup: 15, carriers: () => ({ 2: prefetch }) };
const query: Type = { lookupFrom: 14, carriers: () => ({ 2: prefetch }) };
const queryBatch: Type = { target: 1, carriers: () => ({ 2: query }) };
const ORACLE = { '/qdrant.Points/QueryGroups': queryGroups, '/qdrant.Points/QueryBatch': queryBatch } as const;

function decodeFully(bytes: Uint8Array, type: Type): { target: string; names: string[] } {
  const reader = new BinaryReader(bytes);
  const found = {
    target: '',
    own: [] as string[],
    lookup: [] as string[],
    inner: [] as string[],
    withLookup: [] as string[],
  };
  let lookups = 0;
  let withLookups = 0;
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const carrier = type.carriers?.()[number];
    if (wire !== WireType.LengthDelimited) reader.skip(wire, number);
    else if (number === type.target) found.target = reader.string();
    else if (number === type.name) found.own.push(reader.string());
    else if (number === type.lookupFrom) {
      lookups += 1;
      found.lookup.push(...decodeFully(reader.bytes(), location).names);
    } else if (number === type.withLookup) {
      withLookups += 1;
      found.withLookup.push(...decodeFully(reader.bytes(), location).names);
    } else if (carrier) found.inner.push(...decodeFully(reader.bytes(), carrier).names);
    else reader.skip(wire, number);
  }
  if (lookups > 0 && found.lookup.length === 0) found.lookup.push('');
  if (withLookups > 0 && found.withLookup.length === 0) found.withLookup.push('');
  return { target: found.target, names: [...found.own, ...found.lookup, ...found.inner, ...found.withLookup] };
}

const aName = fc.constantFrom('a', 'b', 'secret', 'päth', 'x'.repeat(200));
const unknownField = fc.record({
  number: fc.integer({ min: 50, max: 2 ** 29 - 1 }),
  bytes: fc.uint8Array({ maxLength: 40 }),
});

/** Random messages of a type: fields in any order, with unknown fields and groups between them. */
function messages(type: Type, depth: number): fc.Arbitrary<Uint8Array> {
  const parts: fc.Arbitrary<(writer: BinaryWriter) => void>[] = [
    unknownField.map(
      ({ number, bytes }) =>
        (w) =>
          void w.tag(number, WireType.LengthDelimited).bytes(bytes),
    ),
    unknownField.map(
      ({ number }) =>
        (w) =>
          void w.tag(number, WireType.Varint).uint64('18446744073709551615'),
    ),
    unknownField.map(({ number, bytes }) => (w) => {
      w.tag(number, WireType.StartGroup).tag(1, WireType.LengthDelimited).bytes(bytes);
      w.tag(5, WireType.Bit64).fixed64(7n).tag(6, WireType.Bit32).fixed32(7).tag(number, WireType.EndGroup);
    }),
  ];
  const text = (number: number) =>
    aName.map((name) => (w: BinaryWriter) => void w.tag(number, WireType.LengthDelimited).string(name));
  const nested = (number: number, inner: Type) =>
    messages(inner, depth - 1).map(
      (bytes) => (w: BinaryWriter) => void w.tag(number, WireType.LengthDelimited).bytes(bytes),
    );
  if (type.target) parts.push(text(type.target));
  if (type.name) parts.push(text(type.name));
  if (depth > 0) {
    if (type.lookupFrom) parts.push(nested(type.lookupFrom, location));
    if (type.withLookup) parts.push(nested(type.withLookup, location));
    for (const [number, inner] of Object.entries(type.carriers?.() ?? {})) parts.push(nested(Number(number), inner));
  }
  return fc.array(fc.oneof(...parts), { maxLength: 6 }).map((writes) => {
    const writer = new BinaryWriter();
    for (const write of writes) write(writer);
    return writer.finish();
  });
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const end = Math.min(bytes.length, at + (cuts[i % cuts.length] ?? 1));
    // Not overwritten afterwards, but never shared: a scanner must not keep a chunk.
    chunks.push(Buffer.from(bytes.subarray(at, end)));
    at = end;
  }
  return chunks;
}

/** As `inspect`, with every chunk wiped once pushed, and no refusal for disagreement. */
function scanned(path: string, chunks: readonly Buffer[], encoding?: string): References | Denial {
  const inspector = createInspector(resolveGrpc(path).operation, { encoding });
  for (const chunk of chunks) {
    inspector.push(chunk);
    chunk.fill(0xff);
  }
  inspector.end();
  const found = inspector.found({ kind: 'list', modes: new Map() });
  if (!found) throw new Error('still reading at the end');
  return found;
}

const someCuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 });

for (const [path, type] of Object.entries(ORACLE)) {
  t.test(`${path}: however a message is split, the names are those of a full decode`, async (t) => {
    fc.assert(
      fc.property(messages(type, 4), someCuts, fc.boolean(), (bytes, cuts, zipped) => {
        const stream = zipped ? framed(gzipSync(bytes), 1) : framed(bytes);
        const found = scanned(path, split(stream, cuts), zipped ? 'gzip' : undefined);
        const full = decodeFully(bytes, type);
        if (full.target === '') return 'kind' in found && found.grpc === 3;
        return (
          'others' in found && found.target === full.target && found.others.join() === [...new Set(full.names)].join()
        );
      }),
      { numRuns: runs(1500) },
    );
    t.pass('1500 messages');
  });

  t.test(`${path}: damaged bytes never throw and never hide a name`, async (t) => {
    let readable = 0;
    const damage = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(messages(type, 3), fc.array(damage, { maxLength: 3 }), someCuts, (bytes, damages, cuts) => {
        const broken = Buffer.from(bytes);
        for (const [at, byte] of damages) if (broken.length > 0) broken[at % broken.length] = byte;
        const found = scanned(path, split(framed(broken), cuts));
        if ('kind' in found) return [3, 8, 13].includes(found.grpc);
        readable += 1;
        const full = decodeFully(broken, type);
        return found.target === full.target && found.others.join() === [...new Set(full.names)].join();
      }),
      { numRuns: runs(3000) },
    );
    t.ok(readable > runs(300), `${readable} of ${runs(3000)} were still messages`);
  });
}

t.test('random streams of random methods never throw', async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(...GRPC_OPERATIONS),
      fc.uint8Array({ maxLength: 120 }),
      fc.constantFrom(undefined, 'gzip', 'identity', 'br'),
      fc.boolean(),
      (operation, bytes, encoding, isFramed) => {
        const inspector = createInspector(operation, { encoding });
        inspector.push(isFramed ? framed(bytes) : Buffer.from(bytes));
        inspector.end();
        return (inspector.state === 'refused') === (inspector.refusal !== undefined);
      },
    ),
    { numRuns: runs(5000) },
  );
  t.pass('5000 streams');
});

function nested(number: number, depth: number): Uint8Array {
  let bytes: Uint8Array = new Uint8Array();
  for (let level = 0; level < depth; level += 1) {
    bytes = new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
  }
  return bytes;
}

function named(name: string, rest: Uint8Array): Buffer {
  return Buffer.concat([new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).finish(), rest]);
}

function wrapped(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}

/** `depth` groups of field 99 inside each other. */
function groups(depth: number): Buffer {
  return Buffer.concat([Buffer.alloc(depth * 2, '9b06', 'hex'), Buffer.alloc(depth * 2, '9c06', 'hex')]);
}

t.test('nesting is allowed 100 deep and refused beyond, whatever nests', async (t) => {
  // Upstream has no limit of its own but its stack.
  const file = 'grpc/message/inspect.test.ts';
  const deviations = new Deviations(file);
  const exists = '/qdrant.Collections/CollectionExists';
  const queryPath = '/qdrant.Points/Query';
  const filters = (depth: number): Uint8Array => {
    let bytes: Uint8Array = new Uint8Array();
    for (let level = 0; level < depth; level += 1) bytes = wrapped(level % 2 === 0 ? 2 : 4, bytes); // must, filter
    return bytes;
  };
  const rows: [string, string, (depth: number) => Uint8Array][] = [
    ['unknown groups', exists, groups],
    ['prefetches', queryPath, (depth) => wrapped(2, nested(1, depth - 1))],
    ['filters', '/qdrant.Points/Delete', (depth) => wrapped(3, wrapped(2, filters(depth - 2)))],
    ['payload values', '/qdrant.Points/Upsert', (depth) => wrapped(3, wrapped(3, wrapped(2, lists(depth - 3))))],
  ];
  for (const [what, path, make] of rows) {
    const deepest = inspect(path, [framed(named('a', make(100)))]);
    t.ok('others' in deepest, `${what} 100 deep are fine`);
    const refused = inspect(path, [framed(named('a', make(101)))]);
    const outcome = 'kind' in refused ? verdictOf(refused) : 'served';
    const verdict = { file, case: `${what} 101 deep`, principal: '', grant: null, request: path, recorded: 'served' };
    t.not(outcome, 'served');
    t.equal(deviations.settled(outcome, verdict), 'served', `${what} 101 deep are refused`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  const guard = createInspector(resolveGrpc('/qdrant.Collections/List').operation, { encoding: undefined });
  guard.push(framed(groups(11_800)));
  t.equal(guard.state, 'refused', 'a method without a collection is guarded as well');

  function lists(depth: number): Uint8Array {
    let bytes: Uint8Array = new Uint8Array();
    for (let level = 0; level < depth; level += 1) bytes = wrapped(level % 2 === depth % 2 ? 1 : 7, bytes);
    return bytes;
  }
});

t.test('bytes that no decoder accepts are refused, whole or byte by byte', async (t) => {
  // Hex behind the name `a` of a query: field 2 (12) is a prefetch, 14 (72) its lookup, 99 (9a06, 9806) unknown.
  const rows: [what: string, hex: string, code: number][] = [
    ['a varint over 64 bits', '9806ffffffffffffffffff02', 13],
    ['a varint of eleven bytes', '9806ffffffffffffffffffff01', 13],
    ['a varint that ends the message early', '980680', 13],
    ['a tag that ends the message early', '98', 13],
    ['a message longer than the one around it', '12040a031000', 13],
    ['a message longer than its parent, within the outermost', '12020a0210001000', 13],
    ['a name longer than its message', '72030a0561000000', 13],
    ['an unknown field longer than its message', '12039a060510001000', 13],
    ['a varint cut by the end of its message', '120310ff8001', 13],
    ['a tag cut by the end of its message', '12018001', 13],
    ['a length cut by the end of its message', '12020a801000', 13],
    ['a fixed64 cut by the end of its message', '12050901020304', 13],
    ['a fixed32 cut by the end of its message', '12031501020304', 13],
    ['an open group at the end of its message', '12010b0c', 13],
    ['a group closed outside its message', '12020b120c', 13],
    ['a prefetch as a varint', '1001', 13],
    ['a lookup as a group', '7374', 13],
    ['a name as a varint inside a lookup', '72020801', 13],
    ['bad UTF-8 in the name of a nested lookup', '120642040a0261ff', 13],
    ['a lookup name over 255 characters of four bytes', `7280080afd07${'61'.repeat(1021)}`, 3],
  ];
  const path = '/qdrant.Points/Query';
  for (const [what, hex, code] of rows) {
    const stream = framed(named('a', Buffer.from(hex, 'hex')));
    for (const cuts of [[stream.length], [1]]) {
      const answer = inspect(path, split(stream, cuts));
      t.equal('kind' in answer && answer.grpc, code, what);
    }
  }
  const names = (count: number) =>
    Buffer.concat(Array.from({ length: count }, (_, i) => wrapped(2, wrapped(8, wrapped(1, Buffer.from(`n${i}`))))));
  const most = inspect(path, [framed(named('a', names(1024)))]);
  t.equal('others' in most && most.others.length, 1024);
  t.match(inspect(path, [framed(named('a', names(1025)))]), { grpc: 8 }, 'too many different names');
  const again = inspect(path, [framed(named('a', Buffer.concat([names(1024), names(1024)])))]);
  t.equal('others' in again && again.others.length, 1024, 'the same names again are fine');
});

t.test('a singular field given twice is checked by every name it had', async (t) => {
  const location = (name: string) => wrapped(13, wrapped(1, Buffer.from(name)));
  const stream = (...names: string[]) => framed(named('a', Buffer.concat(names.map(location))));
  const path = '/qdrant.Points/Recommend';
  const verdict = (access: ListAccess, ...names: string[]) => verdictOf(judge(path, access, stream(...names)));
  const both = list({ a: 'r', b: 'r' });
  t.equal(verdict(both, 'b'), 'served', 'one name');
  t.equal(verdict(both, 'b', 'b'), 'served', 'the same name twice');
  t.equal(verdict(both, 'b', 'a'), '3 `lookup_from` is given more than once with different names');
  t.equal(
    verdict(list({ a: 'r' }), 'b', 'a'),
    '7 Forbidden: Access to collection b is required',
    'the first is hidden',
  );
  t.equal(verdict(list({ a: 'r' }), 'a', 'b'), '7 Forbidden: Access to collection b is required', 'the last is hidden');
});

t.test('the state says when a stream can be judged', async (t) => {
  const operation = resolveGrpc('/qdrant.Points/Upsert').operation;
  const stream = framed(named('docs', wrapped(3, Buffer.alloc(0))));
  const inspector = createInspector(operation, { encoding: undefined });
  inspector.push(stream.subarray(0, -1));
  t.equal(inspector.state, 'reading');
  t.equal(inspector.found(anything), undefined, 'nothing to judge yet');
  inspector.push(stream.subarray(-1));
  t.equal(inspector.state, 'found', 'the last byte completes it');
  inspector.end();
  t.same(inspector.found(anything), { target: 'docs', others: [] });
  inspector.push(stream);
  t.equal(inspector.state, 'refused', 'a second message');
  t.match(inspector.found(anything), { kind: 'denial', grpc: 13 });

  const reflection = createInspector(
    resolveGrpc('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo').operation,
    { encoding: undefined },
  );
  reflection.push(Buffer.concat([framed(Buffer.of(0x3a, 0)), framed(Buffer.of(0x3a, 0))]));
  reflection.end();
  t.equal(reflection.state, 'found', 'reflection may send many');
});

t.test('a 64 MiB upsert streams in constant memory', async (t) => {
  const vector = Buffer.alloc(6144, 0x3f);
  const point = Buffer.from(
    wrapped(
      3,
      Buffer.concat([
        wrapped(1, Buffer.of(0x08, 1)),
        wrapped(3, Buffer.concat([wrapped(1, Buffer.from('city')), wrapped(2, wrapped(4, Buffer.from('Rome')))])),
        wrapped(4, wrapped(1, wrapped(1, vector))),
      ]),
    ),
  );
  for (const [what, part] of [
    ['points of 1536 floats', point],
    ['one field of 8 MiB', Buffer.from(wrapped(99, Buffer.alloc(8_388_608)))],
  ] as const) {
    const name = named('docs', new Uint8Array());
    const repeats = Math.floor((64 * 1024 * 1024) / part.length);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(name.length + repeats * part.length, 1);
    const inspector = createInspector(resolveGrpc('/qdrant.Points/Upsert').operation, { encoding: undefined });
    inspector.push(Buffer.concat([prefix, name]));
    const before = process.memoryUsage().rss;
    const took = stopwatch();
    for (let i = 0; i < repeats; i += 1) {
      for (let at = 0; at < part.length; at += 16_384) inspector.push(part.subarray(at, at + 16_384));
    }
    const figure = took();
    inspector.end();
    t.same(inspector.found(anything), { target: 'docs', others: [] }, what);
    const grown = process.memoryUsage().rss - before;
    t.ok(grown < 32 * 1024 * 1024, `${what}: memory grew by ${Math.round(grown / 1024)} KiB`);
    t.comment(`${what}: ${Math.round((repeats * part.length) / 1e6)} MB in ${figure}`);
  }
});

/** Fields that came with Qdrant v1.20.0, which the installed client does not have: read from its proto files. */
const LATER: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  TextIndexParams: { 12: 'TextScoringParams' },
  Query: { 12: 'TextQuery' },
  Expression: { 20: 'Expression', 21: 'MaxExpression', 22: 'MinExpression' },
  CreateCollection: { 20: 'IdTrackerParams' },
  CollectionParamsDiff: { 7: 'IdTrackerParams' },
};

interface Descriptor {
  typeName: string;
  fields: { number: number; fieldKind: string; message?: Descriptor }[];
}

t.test('every message that holds another is in the table, as the official client knows it', async (t) => {
  const seen = new Map<string, Descriptor>();
  const visit = (message: Descriptor): void => {
    if (seen.has(message.typeName)) return;
    seen.set(message.typeName, message);
    for (const field of message.fields) if (field.message) visit(field.message);
  };
  const folder = new URL('../../../node_modules/@qdrant/js-client-grpc/dist/esm/proto/', import.meta.url);
  const methods = new Map<string, Descriptor>();
  for (const [file, service] of [
    ['points', 'Points'],
    ['collections', 'Collections'],
    ['snapshots', 'Snapshots'],
  ]) {
    const loaded = await import(new URL(`${file}_service_pb.js`, folder).href);
    for (const method of loaded[String(service)].methods as { name: string; input: Descriptor }[]) {
      visit(method.input);
      methods.set(`/qdrant.${service}/${method.name}`, method.input);
    }
  }
  const known: Readonly<Record<string, Fields>> = MESSAGES;
  const short = (name: string) =>
    name.replace(/^qdrant\.|^google\.protobuf\./, '').replace('PointsUpdateOperation.', 'Batch');
  for (const message of seen.values()) {
    const fields: Record<number, string> = {};
    for (const field of message.fields) {
      const map = field.fieldKind === 'map';
      const type = field.message ? short(field.message.typeName) : map ? 'Scalar' : undefined;
      if (type !== undefined) fields[field.number] = map ? `${type}Entry` : type;
    }
    const name = short(message.typeName);
    t.same(known[name] ?? {}, { ...fields, ...LATER[name] }, message.typeName);
  }
  for (const [name, fields] of Object.entries(known)) {
    for (const type of Object.values(fields)) t.ok(type in known, `${name}: ${type} is in the table`);
    if (name.endsWith('Entry')) t.same(fields, { 2: name.slice(0, -'Entry'.length) }, name);
  }
  const groups = Buffer.concat([Buffer.alloc(101, 0x7b), Buffer.alloc(101, 0x7c)]);
  for (const [path, input] of methods) {
    for (const { number, message } of input.fields) {
      if (!message) continue;
      const { operation } = resolveGrpc(path);
      const told = (content: Buffer): InspectorState => {
        const inspector = createInspector(operation, { encoding: undefined });
        const field = wrapped(number, content);
        inspector.push(framed(operation.collectionField === undefined ? field : named('a', field)));
        return inspector.state;
      };
      t.equal(told(groups), 'refused', `${path}: what nests in field ${number} is seen`);
      t.equal(told(Buffer.alloc(0)), 'found', `${path}: field ${number} as it is mostly`);
    }
  }
});

/** Contents whose reading costs most: 32 MiB skipped in one, and 8 MB of many fields, groups and names. */
const COSTLY: readonly (readonly [name: string, content: Buffer])[] = [
  ['one field', Buffer.concat([Buffer.from([0xfa, 0x3e, 0xe0, 0xff, 0xff, 0x0f]), Buffer.alloc(33_554_400)])],
  ['fields', Buffer.alloc(8_000_001, Buffer.from([0x98, 0x06, 0x00]))],
  ['groups', Buffer.alloc(8_000_000, Buffer.from([0xa3, 0x06, 0xa4, 0x06]))],
  ['names', Buffer.alloc(8_000_001, Buffer.from([0x0a, 1, 0x61]))],
];
const LIMITS = { compressedBytes: 32 << 20, inflatedBytes: 32 << 20 };

t.test('what is large behind little gzip, or as it is, is read in short steps', async (t) => {
  const { operation } = resolveGrpc('/qdrant.Points/Upsert');
  for (const [name, content] of COSTLY) {
    const zipped = framed(gzipSync(content), 1);
    const moved = Promise.withResolvers<void>();
    const inspector = createInspector(operation, {
      encoding: 'gzip',
      limits: LIMITS,
      moved: () => inspector.busy || moved.resolve(),
    });
    inspector.push(zipped);
    inspector.end();
    t.ok(inspector.busy, `${name}: nothing is inflated while it is pushed, it goes on elsewhere`);
    await moved.promise;
    const read = (bytes: Buffer): void => {
      const plain = createInspector(operation, { encoding: undefined, limits: LIMITS });
      for (let at = 0; at < bytes.length; at += 65_536) plain.push(bytes.subarray(at, at + 65_536));
    };
    const [whole, part] = [framed(content), framed(content.subarray(0, content.length >> 3))];
    const dearer = timesDearer(
      () => read(whole),
      () => read(part),
    );
    t.ok(dearer < 32, `${name}: eight times the pieces of 64 KiB cost ${dearer.toFixed(1)} times as much`);
  }
});

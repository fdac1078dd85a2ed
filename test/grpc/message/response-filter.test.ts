import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import t from 'tap';
import { filterMessage } from '../../../src/grpc/message/response-filter.ts';
import { WireFault } from '../../../src/grpc/message/wire.ts';
import { resolveGrpc } from '../../../src/grpc/resolve.ts';
import type { ListAccess } from '../../../src/policy/access.ts';
import type { ResponseFilterName } from '../../../src/policy/operation.ts';
import { runs } from '../../support/generators/runs.ts';
import {
  type Entry,
  entryOf,
  filteredGrpcVerdicts,
  listAnswer,
  listedEntries,
} from '../../support/verdicts/filtered-grpc.ts';
import { Deviations } from '../../support/verdicts/verdicts.ts';

function list(...names: string[]): ListAccess {
  return { kind: 'list', modes: new Map(names.map((name) => [name, 'r'])) };
}

t.test('recorded filtered answers are reproduced from what an unsecured upstream answers', async (t) => {
  const deviations = new Deviations('filtered-grpc.json');
  let count = 0;
  for (const verdict of filteredGrpcVerdicts()) {
    const { grant, request } = verdict;
    if (typeof grant !== 'object' || grant === null || typeof request.seen === 'string') continue;
    const filter = resolveGrpc(request.path).operation.filter;
    if (!filter) throw new Error(`${request.path} has no filter`);
    const access: ListAccess = { kind: 'list', modes: new Map(Object.entries(grant)) };
    const shown = filterMessage(filter, listAnswer(request.all), access);
    const outcome = `0 ${JSON.stringify(listedEntries(shown))}`;
    const name = `${verdict.case} as ${verdict.principal}`;
    t.equal(deviations.settled(outcome, verdict), verdict.recorded, name);
    t.same(shown, listAnswer(listedEntries(shown)), `${name}: the time is kept and nothing else is there`);
    count += 1;
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.ok(count > 30, `${count} answers compared`);
});

t.test('an alias is shown only when its collection is listed too', async (t) => {
  const all: Entry[] = [
    ['x', 'a'],
    ['y', 'b'],
    ['z', 'a'],
  ];
  t.same(filterMessage('aliases-list', listAnswer(all), list('a', 'x', 'y')), listAnswer([['x', 'a']]));
  t.same(filterMessage('aliases-list', listAnswer(all), list('a', 'b', 'x', 'y', 'z')), listAnswer(all));
  t.same(filterMessage('aliases-list', listAnswer(all), list()), listAnswer([]));
});

t.test('an unknown field is dropped, whatever it holds', async (t) => {
  const extra = new BinaryWriter().tag(9, WireType.LengthDelimited).string('secret');
  extra.tag(10, WireType.StartGroup).tag(1, WireType.Varint).uint32(1).tag(10, WireType.EndGroup);
  extra.tag(3, WireType.Varint).uint32(5).tag(4, WireType.Bit32).fixed32(5);
  const message = Buffer.concat([extra.finish(), listAnswer(['a', 'secret'])]);
  t.same(filterMessage('collections-list', message, list('a')), listAnswer(['a']));
});

t.test('an entry without a name, or with a second one, is shown by all its names or not at all', async (t) => {
  const twice = Buffer.concat([entryOf('a'), entryOf('secret')]);
  const entry = (bytes: Uint8Array) =>
    Buffer.from(new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(bytes).finish());
  t.same(filterMessage('collections-list', entry(twice), list('a')), Buffer.alloc(0));
  t.same(filterMessage('collections-list', entry(twice), list('a', 'secret')), entry(twice));
  t.same(filterMessage('collections-list', entry(Buffer.alloc(0)), list('a')), Buffer.alloc(0));
  t.same(filterMessage('collections-list', entry(Buffer.alloc(0)), list('')), entry(Buffer.alloc(0)));
});

t.test('an answer that is no such message is a wire fault, never a guess', async (t) => {
  const broken = [
    '08',
    '0a05',
    '0801',
    '1001',
    '0a020801',
    '0b0c',
    '0c',
    '0a030a01ff',
    '0001',
    '0e',
    `${'ff'.repeat(10)}01`,
  ];
  for (const hex of broken) {
    t.throws(() => filterMessage('collections-list', Buffer.from(hex, 'hex'), list('a')), WireFault, hex);
  }
  for (const name of ['telemetry', 'cluster-telemetry', 'issues'] as const) {
    t.throws(() => filterMessage(name, listAnswer(['a']), list('a')), TypeError, `${name} is no gRPC filter`);
  }
});

t.test('random bytes are filtered or faulted, and no name that is not listed gets through', async (t) => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(fc.array(fc.constantFrom('a', 'secret')), fc.nat(), fc.nat(255)).map(([names, at, byte]) => {
      const message = listAnswer(names);
      message[at % message.length] = byte;
      return message;
    }),
  );
  const filters: ResponseFilterName[] = ['collections-list', 'aliases-list'];
  fc.assert(
    fc.property(bytes, fc.constantFrom(...filters), (message, filter) => {
      try {
        const kept = filterMessage(filter, Buffer.from(message), list('a'));
        return namesIn(kept, filter === 'aliases-list' ? 2 : 1).every((name) => name === 'a');
      } catch (error) {
        return error instanceof WireFault;
      }
    }),
    { numRuns: runs(5000) },
  );
  t.pass('5000 messages');
});

function namesIn(message: Buffer, fields: number): string[] {
  const names: string[] = [];
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (number !== 1) {
      reader.skip(wire, number);
      continue;
    }
    const entry = new BinaryReader(reader.bytes());
    while (entry.pos < entry.len) {
      const [inner, innerWire] = entry.tag();
      if (inner <= fields) names.push(entry.string());
      else entry.skip(innerWire, inner);
    }
  }
  return names;
}

t.test('entries in other forms are shown as those in the usual one', async (t) => {
  const hex = (text: string) => Buffer.from(text, 'hex');
  const cases: readonly (readonly [string, ResponseFilterName, Buffer, boolean])[] = [
    ['usual', 'collections-list', hex('0a030a0161'), true],
    ['another name', 'collections-list', hex('0a030a0162'), false],
    ['a longer length of the entry', 'collections-list', hex('0a83000a0161'), true],
    ['a length of five bytes', 'collections-list', hex('0a83808080000a0161'), true],
    ['a longer length of the name', 'collections-list', hex('0a040a810061'), true],
    ['a longer tag', 'collections-list', hex('8a00030a0161'), true],
    ['a field behind the name', 'collections-list', hex('0a050a01611001'), true],
    ['a field before another name', 'collections-list', hex('0a0510010a0162'), false],
    ['an alias in another order', 'aliases-list', hex('0a0612016b0a0161'), false],
    ['an alias of a listed collection', 'aliases-list', hex('0a060a0161120161'), true],
  ];
  for (const [name, filter, entry, isShown] of cases) {
    const message = Buffer.concat([entry, hex('0a030a0163'), entry]);
    const shown = filterMessage(filter, message, list('a'));
    t.same(shown, isShown ? Buffer.concat([entry, entry]) : Buffer.alloc(0), name);
  }
  for (const cut of ['0a', '0a03', '0a040a0161', '0a030a0261', '0a030a01ff'])
    t.throws(() => filterMessage('collections-list', hex(cut), list('a')), WireFault, `${cut} is cut off, or no text`);
});

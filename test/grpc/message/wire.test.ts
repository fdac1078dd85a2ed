import { BinaryReader } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import t from 'tap';
import { readFields, readText, WireFault } from '../../../src/grpc/message/wire.ts';
import { runs } from '../../support/generators/runs.ts';

type Row = [number: number, type: number, value: string];

function fieldsOf(hex: string): Row[] {
  return [...readFields(Buffer.from(hex, 'hex'))].map(({ number, type, value }) => [
    number,
    type,
    value.toString('hex'),
  ]);
}

t.test('every kind of field is read with its content', async (t) => {
  const rows: [what: string, hex: string, fields: Row[]][] = [
    ['an empty message', '', []],
    ['length-delimited', '0a0161', [[1, 2, '61']]],
    ['an empty field', '0a00', [[1, 2, '']]],
    ['a varint', '089601', [[1, 0, '9601']]],
    ['fixed64', '110102030405060708', [[2, 1, '0102030405060708']]],
    ['fixed32', '1d01020304', [[3, 5, '01020304']]],
    [
      'a group, end tag included',
      '0b10010c1a0178',
      [
        [1, 3, '10010c'],
        [3, 2, '78'],
      ],
    ],
    ['a group in a group', '0b13140c', [[1, 3, '13140c']]],
    ['the highest field number', 'f8ffffff0f01', [[2 ** 29 - 1, 0, '01']]],
    ['a tag longer than it must be', '8a80000161', [[1, 2, '61']]],
    ['a tag of ten bytes', '8a8080808080808080000161', [[1, 2, '61']]],
    ['a length longer than it must be', '0a8180800061', [[1, 2, '61']]],
    ['the highest varint', '08ffffffffffffffffff01', [[1, 0, 'ffffffffffffffffff01']]],
  ];
  for (const [what, hex, fields] of rows) t.same(fieldsOf(hex), fields, what);
});

t.test('what upstream refuses is a fault', async (t) => {
  const rows: [what: string, hex: string][] = [
    ['field 0', '0001'],
    ['field 0, length-delimited', '020178'],
    ['a tag over 32 bits', '8a80808080010162'],
    ['wire type 6', '9e06'],
    ['wire type 7', '9f06'],
    ['a varint of eleven bytes', '08ffffffffffffffffffff01'],
    ['a varint over 64 bits', '08ffffffffffffffffff02'],
    ['half a varint', '0880'],
    ['half a tag', '80'],
    ['a length beyond the end', '0a0261'],
    ['a huge length', '0affffffffffffffffff01'],
    ['half a fixed64', '1101020304'],
    ['half a fixed32', '1d010203'],
    ['an open group', '0b'],
    ['an open group with content', '0b1001'],
    ['a stray end of a group', '0c'],
    ['the end of another group', '0b14'],
    ['field 0 in a group', '0b00010c'],
  ];
  for (const [what, hex] of rows) t.throws(() => fieldsOf(hex), /failed to decode/, what);
});

t.test('groups may nest 100 deep, no deeper', async (t) => {
  const groups = (depth: number) => '0b'.repeat(depth) + '0c'.repeat(depth);
  t.equal(fieldsOf(groups(100)).length, 1);
  t.throws(() => fieldsOf(groups(101)), /at most 100 deep/);
  t.throws(() => fieldsOf(groups(100_000)), /at most 100 deep/, 'without using the stack');
});

t.test('text is strict UTF-8 and keeps every character', async (t) => {
  for (const text of ['', 'a', 'päth', '\ufeffa', '\ufffd', '\0', '😀']) t.equal(readText(Buffer.from(text)), text);
  for (const hex of ['61ff', 'c1a1', 'eda080', 'f4908080', 'e0a0']) {
    t.throws(() => readText(Buffer.from(hex, 'hex')), WireFault, hex);
  }
});

t.test('random bytes are read as the official library reads them, or faulted', async (t) => {
  let read = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      let ours: string;
      try {
        ours = [...readFields(Buffer.from(bytes))].map(({ number, type, raw }) => [number, type, raw.length]).join();
      } catch (error) {
        return error instanceof WireFault;
      }
      read += 1;
      const theirs: number[] = [];
      const reader = new BinaryReader(bytes);
      try {
        while (reader.pos < reader.len) {
          const start = reader.pos;
          const [number, type] = reader.tag();
          reader.skip(type, number);
          theirs.push(number, type, reader.pos - start);
        }
      } catch (error) {
        // A tag of more than five bytes: upstream's decoder reads it, the library does not.
        return error instanceof Error && error.message === 'illegal tag: varint overflows uint32';
      }
      return ours === theirs.join();
    }),
    { numRuns: runs(20_000), examples: [[Buffer.from('88808080800000', 'hex')]] },
  );
  t.ok(read > runs(500), `${read} of ${runs(20_000)} could be read`);
});

import fc from 'fast-check';
import t from 'tap';
import { Http2Fault } from '../../src/http2/frames.ts';
import { HeaderBlocks } from '../../src/http2/header-blocks.ts';
import { encodeHeaders, encodeTableSizeUpdate, type HeaderField, HpackDecoder } from '../../src/http2/hpack.ts';
import { runs } from '../support/generators/runs.ts';

const LIMITS = { maxHeaderBytes: 4096, maxHeaders: 20 };

const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
/** A literal that goes into the dynamic table. */
const insert = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
/** The newest entry of the dynamic table, the one before it, and so on. */
const newest = (position = 1): Buffer => Buffer.from([0x80 | (61 + position)]);

function read(blocks: HeaderBlocks<string>, block: Buffer) {
  return blocks.read(block, 0, block.length);
}

function faultOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!(error instanceof Http2Fault)) throw error;
    return `${error.code} ${error.reason}`;
  }
}

t.test('equal blocks over an unchanged table are one block, with what was made of it', (t) => {
  const blocks = new HeaderBlocks<string>(LIMITS);
  read(blocks, insert('api-key', 'first'));
  const once = read(blocks, newest());
  once.meaning = 'made out';
  t.same(once.fields, [['api-key', 'first', false]]);
  t.equal(read(blocks, newest()), once);
  const framed = Buffer.concat([Buffer.from('before'), newest(), Buffer.from('behind')]);
  t.equal(blocks.read(framed, 6, 7), once, 'wherever it stands');
  t.end();
});

t.test('remembered bytes are a copy: the chunk they came in may change', (t) => {
  const blocks = new HeaderBlocks<string>(LIMITS);
  const chunk = encodeHeaders([['api-key', 'first']]);
  const before = read(blocks, chunk);
  chunk[chunk.length - 1] = 'T'.charCodeAt(0);
  const after = read(blocks, chunk);
  t.same([before.fields, after.fields], [[['api-key', 'first', true]], [['api-key', 'firsT', true]]]);
  t.end();
});

t.test('a block means something else once the table has changed', (t) => {
  const changes: readonly (readonly [name: string, change: Buffer, then: readonly HeaderField[] | string])[] = [
    ['another entry', insert('api-key', 'second'), [['api-key', 'second', false]]],
    ['the same entry again', insert('api-key', 'first'), [['api-key', 'first', false]]],
    ['an emptied table', encodeTableSizeUpdate(0), '9 header index out of range'],
    [
      'emptied and filled',
      Buffer.concat([encodeTableSizeUpdate(0), encodeTableSizeUpdate(4096), insert('api-key', 'third')]),
      [['api-key', 'third', false]],
    ],
  ];
  for (const [name, change, then] of changes) {
    const blocks = new HeaderBlocks<string>(LIMITS);
    read(blocks, insert('api-key', 'first'));
    const before = read(blocks, newest());
    before.meaning = 'of the first';
    read(blocks, change);
    if (typeof then === 'string') {
      t.equal(
        faultOf(() => read(blocks, newest())),
        then,
        name,
      );
      continue;
    }
    const after = read(blocks, newest());
    t.same([after.fields, after.meaning], [then, undefined], name);
  }
  t.end();
});

t.test('a block that changes the table is decoded each time', (t) => {
  const blocks = new HeaderBlocks<string>(LIMITS);
  const first = read(blocks, insert('x', '1'));
  const second = read(blocks, insert('x', '1'));
  t.not(first, second);
  t.same(read(blocks, Buffer.concat([newest(1), newest(2)])).fields, [
    ['x', '1', false],
    ['x', '1', false],
  ]);
  t.end();
});

t.test('an oversized block is never known', (t) => {
  const blocks = new HeaderBlocks<string>({ maxHeaderBytes: 40, maxHeaders: 20 });
  const large = encodeHeaders([
    ['a', '1'],
    ['b', '2'],
  ]);
  const first = read(blocks, large);
  t.equal(first.oversized, true);
  t.not(read(blocks, large), first);
  t.end();
});

t.test('after a fault nothing is known any more', (t) => {
  const blocks = new HeaderBlocks<string>(LIMITS);
  const known = encodeHeaders([['a', '1']]);
  read(blocks, known);
  t.ok(faultOf(() => read(blocks, Buffer.from([0x80]))));
  t.equal(
    faultOf(() => read(blocks, known)),
    '9 header table is out of step',
  );
  t.end();
});

t.test('a smaller table limit is waited for, also by a block that was known', (t) => {
  const blocks = new HeaderBlocks<string>(LIMITS);
  const known = encodeHeaders([['a', '1']]);
  read(blocks, known);
  blocks.setMaxTableBytes(100);
  t.equal(
    faultOf(() => read(blocks, known)),
    '9 table size update missing',
  );
  t.end();
});

/** One field of a block: into the table, from it, beside it. A small alphabet, so that blocks come again. */
const field = fc.oneof(
  fc
    .record({ name: fc.constantFrom('a', 'api-key'), value: fc.constantFrom('1', '2', 'x'.repeat(40)) })
    .chain(({ name, value }) =>
      fc.constantFrom(insert(name, value), encodeHeaders([[name, value]]), encodeHeaders([[name, value, true]])),
    ),
  fc.integer({ min: 1, max: 3 }).map(newest),
  fc.constantFrom(Buffer.from([0x82]), Buffer.from([0x83])),
);
const block = fc
  .tuple(fc.option(fc.constantFrom(0, 120, 4096), { freq: 20 }), fc.array(field, { maxLength: 4 }))
  .map(([size, fields]) => Buffer.concat([...(size === null ? [] : [encodeTableSizeUpdate(size)]), ...fields]));
/** Some blocks, sent in any order and again. */
const sequence = fc
  .array(block, { minLength: 1, maxLength: 6 })
  .chain((blocks) => fc.array(fc.constantFrom(...blocks), { maxLength: 40 }))
  // A table to begin with, else most sequences would end at once in an index out of range.
  .map((blocks) => [...FILLED, ...blocks]);
const FILLED = ['1', '2', '3'].map((value) => insert('filled', value));

t.test('whatever the sequence of blocks, knowing them gives what decoding them gives', (t) => {
  let known = 0;
  fc.assert(
    fc.property(sequence, (sent) => {
      const blocks = new HeaderBlocks<string>({ maxHeaderBytes: 200, maxHeaders: 3 });
      const plain = new HpackDecoder({ maxHeaderBytes: 200, maxHeaders: 3 });
      const seen = new Set<unknown>();
      for (const bytes of sent) {
        const fields: HeaderField[] = [];
        const fault = faultOf(() => plain.decode(bytes, (...one) => fields.push(one)));
        let found: { fields: readonly HeaderField[]; oversized: boolean } | undefined;
        const foundFault = faultOf(() => {
          found = read(blocks, bytes);
        });
        if (seen.has(found)) known++;
        seen.add(found);
        const expected = fault === undefined ? { fields, oversized: plain.oversized } : fault;
        const got = foundFault ?? (found && { fields: found.fields, oversized: found.oversized });
        if (JSON.stringify(got) !== JSON.stringify(expected)) return false;
      }
      return true;
    }),
    { numRuns: runs(3000) },
  );
  t.ok(known > runs(1000), 'blocks were known again');
  t.end();
});

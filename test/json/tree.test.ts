import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { JsonReader } from '../../src/json/reader.ts';
import { type JsonNode, JsonObject, listNode, objectNode, textNode } from '../../src/json/tree.ts';
import { JsonTooLong, JsonWriter, writeJson } from '../../src/json/writer.ts';

/** Takes everything apart: the more is taken apart, the more is written anew. */
function readAll(reader: JsonReader, source: Buffer, depth = 0): JsonNode {
  switch (reader.peek()) {
    case 'object': {
      const node = new JsonObject();
      reader.readObject((key) => node.set(key, readAll(reader, source, depth + 1)));
      return node;
    }
    case 'array': {
      const writer = new JsonWriter(source, MOST);
      const items: JsonNode[] = [];
      // Some items are kept apart, and the rest is written at once.
      reader.readArray((index) => {
        const item = readAll(reader, source, depth + 1);
        if (index < depth % 3) items.push(item);
        else writer.item(item);
      });
      return listNode(items, writer.written());
    }
    default: {
      const { start, end } = reader.skipValue();
      return { kind: 'source', start, end };
    }
  }
}

const MOST = 1 << 20;

function again(text: string): string {
  const source = Buffer.from(text);
  const reader = new JsonReader(source, { maxDepth: 64 });
  const node = readAll(reader, source);
  reader.end();
  const writer = new JsonWriter(source, MOST);
  writer.node(node);
  return writer.bytes().toString();
}

/** JSON texts with blanks, escapes and numbers that no double holds. */
const NUMBERS = ['18446744073709551615', '-9223372036854775808', '1e400', '0.10000000000000000001', '-0', '1E+2'];
const blank = fc.constantFrom('', ' ', '\n\t');
const key = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.constantFrom('__proto__', 'a"b', '\\', '\u0001'));
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom(...NUMBERS, 'true', 'false', 'null', '"\\u0074enant\\ud83d\\ude00"'),
    fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
    fc
      .tuple(blank, fc.array(tie('value'), { maxLength: 5 }))
      .map(([b, items]) => `[${b}${items.join(`${b},${b}`)}${b}]`),
    fc
      .tuple(blank, fc.uniqueArray(fc.tuple(key, tie('value')), { maxLength: 20, selector: ([name]) => name }))
      .map(
        ([b, members]) => `{${b}${members.map(([name, text]) => `${JSON.stringify(name)}${b}:${text}`).join(',')}${b}}`,
      ),
  ),
}));

/** Numbers as they are written: `JSON.parse` tells what each of them was. */
const lossless = (text: string): unknown =>
  JSON.parse(text, (_key, parsed: unknown, { source }: { source?: string } = {}) =>
    typeof parsed === 'number' ? `number ${source}` : parsed,
  );

t.test('what was taken apart and written again is the same JSON, digit for digit', async (t) => {
  await fc.assert(
    fc.property(value, (text) => {
      const written = again(text);
      return isDeepStrictEqual(lossless(written), lossless(text)) && again(written) === written;
    }),
  );
  t.pass('all were');
});

t.test('an object keeps the place of a key that is set again, and forgets one that is removed', async (t) => {
  const node = new JsonObject();
  const names = Array.from({ length: 30 }, (_, at) => `k${at}`);
  for (const name of names) node.set(name, textNode('0'));
  node.set('k3', textNode('1'));
  node.remove('k7');
  node.remove('k7');
  t.equal(node.has('k7'), false);
  t.same(node.get('k3'), textNode('1'));
  const left = names.filter((name) => name !== 'k7');
  t.same(node.keys, left);
  const writer = new JsonWriter(Buffer.alloc(0), MOST);
  writer.node(node);
  t.same(Object.keys(JSON.parse(writer.bytes().toString())), left);
});

t.test('no more is written than allowed', async (t) => {
  const writer = new JsonWriter(Buffer.alloc(0), 10_000);
  t.throws(() => {
    for (let at = 0; at < 10_000; at += 1) writer.item(textNode('"12345678"'));
  }, JsonTooLong);
  t.ok(writer.bytes().length < 20_000);
});

t.test('a large list is written once, with all that stands around it', async (t) => {
  const items = Array.from({ length: 9000 }, (_, at) => `"item ${at}"`);
  const source = Buffer.from(items.join());
  for (const headroom of [0, 64]) {
    const writer = new JsonWriter(source, MOST, source.length, headroom);
    for (const item of items) writer.item(textNode(item));
    const node = objectNode({ 'a"': textNode('1'), list: listNode([], writer.written()), z: textNode('{}') });
    const expected = `{"a\\"":1,"list":[${items.join()}],"z":{}}`;
    t.equal(writeJson(node, source, MOST).toString(), expected, `headroom of ${headroom}`);
  }
  const alone = new JsonWriter(source, MOST, source.length, 64);
  for (const item of items) alone.item(textNode(item));
  const node = objectNode({ list: listNode([], alone.written()) });
  t.equal(writeJson(node, source, MOST).toString(), `{"list":[${items.join()}]}`);
});

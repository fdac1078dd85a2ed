import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { encodeHeaders, type HeaderField, HpackDecoder } from '../../src/http2/hpack.ts';

type Story = {
  readonly cases: readonly {
    readonly wire: string;
    readonly header_table_size?: number;
    readonly headers: readonly Record<string, string>[];
  }[];
};

const vectors = process.env.TEST_VECTORS_DIR;
const LIMITS = { maxHeaderBytes: 1_000_000, maxHeaders: 10_000 };

function decode(decoder: HpackDecoder, block: Buffer): HeaderField[] {
  const fields: HeaderField[] = [];
  decoder.decode(block, (name, value) => fields.push([name, value]));
  return fields;
}

function wrongBlocks(story: Story): number[] {
  const decoder = new HpackDecoder(LIMITS);
  const wrong: number[] = [];
  story.cases.forEach((entry, index) => {
    if (entry.header_table_size !== undefined) decoder.setMaxTableBytes(entry.header_table_size);
    const expected = JSON.stringify(entry.headers.flatMap((header) => Object.entries(header)));
    const fields = decode(decoder, Buffer.from(entry.wire, 'hex'));
    const again = decode(new HpackDecoder(LIMITS), encodeHeaders(fields));
    if (JSON.stringify(fields) !== expected || JSON.stringify(again) !== expected) wrong.push(index);
  });
  return wrong;
}

if (vectors === undefined) {
  t.test('published header compression stories', { skip: 'TEST_VECTORS_DIR is not set' }, () => {});
} else {
  for (const encoder of readdirSync(join(vectors, 'hpack')).sort()) {
    t.test(`published stories of ${encoder}`, (t) => {
      const folder = join(vectors, 'hpack', encoder);
      const files = readdirSync(folder).filter((file) => file.startsWith('story_') && file.endsWith('.json'));
      t.ok(files.length > 0, 'there are stories');
      for (const file of files.sort()) {
        const story: Story = JSON.parse(readFileSync(join(folder, file), 'utf8'));
        t.ok(story.cases.length > 0, `${file} has blocks`);
        t.same(wrongBlocks(story), [], `${file}: every block decodes, and survives being encoded again`);
      }
      t.end();
    });
  }
}

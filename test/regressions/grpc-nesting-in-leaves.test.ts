// Groups that no message knows nest in any message. Only messages that can hold themselves were looked into, so groups within
// the id of a point passed, and 11 800 of them end an unsecured Qdrant 1.19 whose decoder has no limit of its own.
import t from 'tap';
import { FrameType } from '../../src/http2/frames.ts';
import { setUp } from '../grpc/relay-fixture.ts';

const groups = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x7b), Buffer.alloc(depth, 0x7c)]);

function within(fields: readonly number[], content: Buffer): Buffer {
  return fields.reduceRight<Buffer>((inner, field) => {
    return Buffer.concat([Buffer.of((field << 3) | 2, (inner.length & 0x7f) | 0x80, inner.length >> 7), inner]);
  }, content);
}

const CASES: readonly (readonly [name: string, path: string, fields: readonly number[]])[] = [
  ['the id of a point that is asked for', '/qdrant.Points/Get', [2]],
  ['the id of a point that is written', '/qdrant.Points/Upsert', [3, 1]],
  ['the order of a write', '/qdrant.Points/Delete', [4]],
  ['a condition on a range', '/qdrant.Points/Count', [2, 1, 1, 3]],
  ['the key of a shard', '/qdrant.Points/Query', [13, 1]],
  ['a lookup', '/qdrant.Points/Query', [14, 3]],
  ['an index', '/qdrant.Points/CreateFieldIndex', [5, 1, 6]],
  ['ranges of a file', '/qdrant.StorageRead/ReadBatch', [4]],
];

t.test('groups nest at most 100 deep in every message of a request', async (t) => {
  const { upstream, client } = await setUp(t);
  let id = 1;
  for (const [name, path, fields] of CASES) {
    for (const [depth, passes] of [
      [100 - fields.length, true],
      [101 - fields.length, false],
    ] as const) {
      upstream.frames.length = 0;
      const message = Buffer.concat([Buffer.of(0x0a, 4), Buffer.from('docs'), within(fields, groups(depth))]);
      client.call(id, path, message, [['api-key', 'scoped']]);
      const status = await client.status(id);
      if (passes) t.notMatch(status, /nest at most/, `${name}, ${depth} groups: ${status}`);
      else t.match(status, /^3 messages and groups may nest at most 100 deep/, `${name}, ${depth} groups`);
      if (!passes)
        t.notOk(
          upstream.frames.some(({ type }) => type === FrameType.DATA),
          `${name}: nothing got upstream`,
        );
      id += 2;
    }
  }
});

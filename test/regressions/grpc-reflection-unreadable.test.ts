// Reflection names no collection, and what upstream cannot decode there ends the call with OK (tonic-reflection: the task that
// answers returns). The gateway answered INTERNAL to the message 3a01, a text of one byte that is not there.
import t from 'tap';
import { FrameType } from '../../src/http2/frames.ts';
import { setUp } from '../grpc/relay-fixture.ts';

const PATHS = ['v1', 'v1alpha'].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);
const groups = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x7b), Buffer.alloc(depth, 0x7c)]);
const within = (field: number, content: Buffer): Buffer =>
  Buffer.concat([Buffer.of((field << 3) | 2, (content.length & 0x7f) | 0x80, content.length >> 7), content]);

const CASES: readonly (readonly [name: string, message: Buffer, passes: boolean])[] = [
  ['a list of services', Buffer.of(0x3a, 0), true],
  ['a text that is cut off', Buffer.of(0x3a, 1), true],
  ['a stray end of a group', Buffer.of(0x7c), true],
  ['100 groups without an end', Buffer.alloc(100, 0x7b), true],
  ['101 groups without an end', Buffer.alloc(101, 0x7b), false],
  ['groups too deep', groups(101), false],
  ['groups too deep in the message of a field', within(5, groups(100)), false],
  ['the same, just deep enough', within(5, groups(99)), true],
];

t.test(
  "what cannot be decoded on reflection is upstream's to answer, what nests too deep never gets there",
  async (t) => {
    const { upstream, client } = await setUp(t);
    let id = 1;
    for (const path of PATHS) {
      for (const [name, message, passes] of CASES) {
        upstream.frames.length = 0;
        client.call(id, path, message, [['api-key', 'scoped']]);
        const status = await client.status(id);
        t.equal(status.startsWith('0'), passes, `${name}: ${status}`);
        const sent = upstream.frames
          .filter(({ type }) => type === FrameType.DATA)
          .map(({ payload }) => payload.subarray(5).toString('hex'))
          .join('');
        t.equal(sent, passes ? message.toString('hex') : '', `${name}: what upstream got`);
        id += 2;
      }
    }
  },
);

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import { type Frame, FrameType } from '../../src/http2/frames.ts';
import { HeaderBlocks } from '../../src/http2/header-blocks.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import { writePing } from '../../src/http2/write-frames.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Gives a copy in memory of its own to `use`. Tells whether that memory is still held then. */
async function isKept(bytes: Buffer, use: (copy: Buffer) => void): Promise<boolean> {
  const memory = ((): WeakRef<ArrayBufferLike> => {
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(copy);
    use(copy);
    return new WeakRef(copy.buffer);
  })();
  // A reference that was just made holds until the next turn.
  for (let turn = 0; turn < 5 && memory.deref(); turn++) {
    await new Promise(setImmediate);
    collect();
  }
  return memory.deref() !== undefined;
}

const PING = writePing(Buffer.alloc(8), false);

t.test('a reader keeps nothing of what it read, but the beginning of a frame', async (t) => {
  const reader = new FrameReader();
  const types: number[] = [];
  const take = (chunk: Buffer): void => void reader.push(chunk, ({ type }: Frame) => types.push(type));
  t.notOk(await isKept(Buffer.concat([PING, PING]), take), 'whole frames');
  t.notOk(await isKept(Buffer.concat([PING, PING.subarray(0, 12)]), take), 'a part is copied');
  t.notOk(await isKept(PING.subarray(12), take), 'its end');
  t.strictSame(types, Array(4).fill(FrameType.PING));
});

t.test('a decoder keeps nothing of the blocks it decoded', async (t) => {
  const blocks = new HeaderBlocks({ maxHeaderBytes: 65_536, maxHeaders: 100 });
  const seen: number[] = [];
  const block = encodeHeaders(
    [
      [':status', '200'],
      ['x-name', 'value'],
    ],
    0,
  );
  for (const what of ['a new block', 'the same once more']) {
    t.notOk(await isKept(block, (copy) => void seen.push(blocks.read(copy, 0, copy.length).fields.length)), what);
  }
  t.strictSame(seen, [2, 2]);
});

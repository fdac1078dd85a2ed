import { buffer } from 'node:stream/consumers';
import { createGzip, gzipSync } from 'node:zlib';
import t from 'tap';
import type { Turn } from '../../../src/limits/fair-queue.ts';
import { MemoryBudget, type Reservation, WIDE_BYTES } from '../../../src/limits/memory-budget.ts';
import type { Denial } from '../../../src/policy/denial.ts';
import { BodyBytes } from '../../../src/rest/body/bytes.ts';
import { INLINE_BYTES } from '../../../src/rest/body/check-pool.ts';
import { BodyDecoder } from '../../../src/rest/body/decoder.ts';
import { HeldBody } from '../../../src/rest/body/held-body.ts';
import { endedLife, looseGuard, openLife } from '../../support/guards.ts';

/** Bytes that differ from place to place. */
const patterned = (bytes: number) =>
  Buffer.from(Array.from({ length: 1021 }, (_, index) => index % 251))
    .toString('latin1')
    .repeat(Math.ceil(bytes / 1021))
    .slice(0, bytes);
const own = (bytes: number): Buffer => {
  const memory = Buffer.allocUnsafeSlow(bytes);
  memory.write(patterned(bytes), 'latin1');
  return memory;
};

const SHARER = { owner: 1, client: 1 };

function placed(bytes: number): { budget: MemoryBudget; reservation: Reservation } {
  const budget = new MemoryBudget({ capacity: 16 << 20, priorityMs: 60_000, waitMs: 60_000 });
  const reservation = budget.enter(SHARER, { guard: looseGuard(), resume: () => undefined, giveUp: () => undefined });
  reservation.add(bytes);
  reservation.whole();
  return { budget, reservation };
}

t.test('bytes that come in pieces of any size are the same in one piece', async (t) => {
  for (const piece of [1, 7, 8192, 65_536, 1 << 20]) {
    for (const total of [piece, 3 * piece + 1, Math.min(40 * piece, WIDE_BYTES * 3)]) {
      for (const most of [total, total + 1, 32 << 20]) {
        const whole = own(total);
        const bytes = new BodyBytes(most);
        for (let at = 0; at < total; at += piece) {
          if (at > total / 2) bytes.widen();
          bytes.push(whole.subarray(at, at + piece));
        }
        if (!bytes.take().equals(whole)) t.fail(`${total} in pieces of ${piece}, ${most} announced`);
      }
    }
  }
  const over = new BodyBytes(10);
  over.push(Buffer.alloc(10));
  t.throws(() => over.push(Buffer.alloc(1)), RangeError);
});

t.test(
  'a large body goes upstream byte by byte as it came, and gives memory and budget back with the last',
  async (t) => {
    for (const size of [INLINE_BYTES + 1, 3 * 65_536, (4 << 20) + 17]) {
      const { budget, reservation } = placed(size);
      const bytes = own(size);
      const copy = Buffer.from(bytes);
      const body = new HeldBody(bytes, reservation);
      const sent = body.toUpstream(looseGuard());
      t.ok(!Buffer.isBuffer(sent) && (await buffer(sent)).equals(copy), `${size}`);
      t.strictSame([bytes.length, budget.taken, body.length], [0, 0, size]);
      t.throws(() => body.toUpstream(looseGuard()), /not there/, 'it is not sent again, and never as an empty one');
      t.throws(() => body.lend(), /not there/);
    }
    const small = new HeldBody(own(100));
    t.equal((small.toUpstream(looseGuard()) as Buffer).length, 100);
    t.equal((small.toUpstream(looseGuard()) as Buffer).length, 100, 'a small one may be sent once more');
  },
);

t.test('a lent body is given back first, then its memory and budget', async (t) => {
  const { budget, reservation } = placed(1 << 20);
  const bytes = own(1 << 20);
  const body = new HeldBody(bytes, reservation);
  const lent = body.lend();
  body.release();
  t.equal(lent.length, 1 << 20, 'who reads it reads it to its end');
  t.ok(budget.taken > 0);
  body.giveBack(lent);
  t.strictSame([lent.length, budget.taken], [0, 0]);
  const other = placed(1 << 20);
  const lost = new HeldBody(own(1 << 20), other.reservation);
  lost.lend();
  lost.giveBack(undefined);
  t.throws(() => lost.toUpstream(looseGuard()), /not there/, 'one that was lost with its thread is never sent');
  lost.release();
  t.equal(other.budget.taken, 0);
});

const waiting = () => ({ life: openLife(), guard: looseGuard() });

/** A gzip file of so many bytes of one kind. */
const gzipOf = (bytes: number) => gzipSync(Buffer.alloc(bytes, 0x20));

t.test('few large bodies are there in decoded form at once, and small ones do not wait for them', async (t) => {
  const decoder = new BodyDecoder(32 << 20);
  const running: { size: number; turn: Turn | undefined }[] = [];
  let most = 0;
  let coming: (() => void) | undefined;
  const ask = (owner: number, body: Buffer) =>
    decoder.decode({
      owner,
      body,
      codings: ['gzip'],
      ...waiting(),
      done: (decoded, turn) => {
        running.push({ size: Buffer.isBuffer(decoded) ? decoded.length : 0, turn });
        coming?.();
      },
      fail: (error) => t.fail(String(error)),
      dropped: () => t.fail('dropped'),
    });
  const large = gzipOf(4 << 20);
  for (let index = 0; index < 6; index += 1) ask(index % 2, large);
  const seen: number[] = [];
  for (let index = 0; index < 6; index += 1) {
    if (running.length === 0) await new Promise<void>((resolve) => (coming = resolve));
    if (index === 0) {
      ask(9, gzipOf(1000));
      await new Promise<void>((resolve) => (coming = resolve));
      const small = running.pop();
      t.strictSame([small?.size, small?.turn], [1000, undefined]);
    }
    most = Math.max(most, running.length);
    const first = running.shift();
    seen.push(first?.size ?? 0);
    first?.turn?.end();
  }
  t.strictSame([most, seen], [1, Array(6).fill(4 << 20)]);
});

t.test('a body whose client has left is not decoded any more', async (t) => {
  const decoder = new BodyDecoder(32 << 20);
  const told = await new Promise<Buffer | Denial | 'dropped'>((resolve, reject) => {
    decoder.decode({
      owner: 1,
      body: gzipOf(4 << 20),
      codings: ['gzip'],
      life: endedLife(),
      guard: looseGuard(),
      done: resolve,
      fail: reject,
      dropped: () => resolve('dropped'),
    });
  });
  t.equal(told, 'dropped');
});

t.test('what is decoded in several pieces is what was coded', async (t) => {
  const text = patterned(5_000_001);
  const gzip = createGzip();
  gzip.end(Buffer.from(text, 'latin1'));
  const body = await buffer(gzip);
  const decoded = await new Promise<Buffer | Denial | 'dropped'>((resolve, reject) => {
    const decoder = new BodyDecoder(32 << 20);
    decoder.decode({ owner: 1, body, codings: ['gzip'], ...waiting(), done: resolve, fail: reject, dropped: reject });
  });
  t.ok(Buffer.isBuffer(decoded) && decoded.toString('latin1') === text);
});

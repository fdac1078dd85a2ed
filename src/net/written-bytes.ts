import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';

/** Smaller memory is left to the garbage collector. */
const FREED_BYTES = 8_192;
const LEAST_BYTES = 2_048;

const NO_OWNER: object = Object.freeze({});

/**
 * The memory of which the first part was written last. One for all connections of the thread, since an idle one keeps no memory.
 */
const partly = { owner: NO_OWNER, memory: undefined as ArrayBufferLike | undefined, to: 0 };

/**
 * True = with `source[from, to)`, which no other code uses, `owner` has written everything in its memory, in order. The memory may
 * be freed once that is written. Node cuts what it reads over TLS from pieces of memory, which one upload soon fills alone.
 */
export function fillsMemory(owner: object, source: Buffer, from: number, to: number): boolean {
  // A small part seldom fills its memory.
  if (to - from < LEAST_BYTES && partly.owner !== owner) return false;
  const { buffer, byteOffset } = source;
  if (buffer.byteLength < FREED_BYTES) return false;
  const begun = byteOffset + from;
  if (begun !== 0 && (partly.owner !== owner || partly.memory !== buffer || partly.to !== begun)) return false;
  const isFull = byteOffset + to === buffer.byteLength;
  partly.owner = isFull ? NO_OWNER : owner;
  partly.memory = isFull ? undefined : buffer;
  partly.to = byteOffset + to;
  return isFull;
}

/**
 * Frees the memory of bytes at once. Code that still has them sees a buffer of length 0, never bytes of another caller.
 *
 * INVARIANT: nothing outside of JavaScript uses them: a write of them has ended, in success.
 */
export function freeMemory({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Bytes to be written. `once`: no other code uses them, and their memory is freed once they are written. */
export interface Outgoing {
  readonly bytes: Buffer;
  readonly once: boolean;
}

/**
 * Writes bytes in their order, at once. Freeing those of `once` spares the garbage collector, which would mark the whole heap
 * whenever as much has passed as it holds. `false` = wait for `drain`.
 */
export function writeAll(socket: Socket, outgoing: readonly Outgoing[], guard: Guard): boolean {
  const last = outgoing.length - 1;
  let freed: Buffer[] | undefined;
  let more = true;
  if (last > 0) socket.cork();
  for (const [at, { bytes, once }] of outgoing.entries()) {
    if (once && fillsMemory(socket, bytes, 0, bytes.length)) {
      freed ??= [];
      freed.push(bytes);
    }
    more = freed && at === last ? socket.write(bytes, freeing(freed, guard)) : socket.write(bytes);
  }
  if (last > 0) socket.uncork();
  return more;
}

/** Writes end in their order. What was not written is left to the garbage collector: the socket may still have it. */
function freeing(freed: readonly Buffer[], guard: Guard): (error: Error | null | undefined) => void {
  return guard.entry((error) => {
    if (!error) for (const bytes of freed) freeMemory(bytes);
  });
}

// V8 compiles again what reads bytes once the first memory is freed like this: before anything is hot it costs nothing.
freeMemory(Buffer.from(new ArrayBuffer(1)));

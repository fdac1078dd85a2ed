import type { Socket } from 'node:net';
import type { Guard } from '../lifetime/guard.ts';

/** Smaller memory is left to the garbage collector. */
const FREED_BYTES = 8_192;

/** True = `bytes` are all there is in their memory, and enough to be worth `freeMemory`. */
export function fillMemory(bytes: Buffer): boolean {
  return bytes.length >= FREED_BYTES && bytes.length === bytes.buffer.byteLength;
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
    if (once && fillMemory(bytes)) {
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

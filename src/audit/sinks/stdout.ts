import { fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { Appender, faultOf } from './appender.ts';
import type { AuditEntry, Destination, Written } from './sink.ts';
import { openPipe } from './sockets.ts';

const STDOUT = 1;
/** Largest atomic write to a pipe (`PIPE_BUF` of Linux), in bytes. */
const ATOMIC_BYTES = 4_096;

/** Standard output of any kind. @param shared other processes write to it, too */
export function stdoutDestination(shared: boolean): Destination {
  const kind = fstatSync(STDOUT);
  return kind.isFIFO() || kind.isSocket() ? new PipeDestination(shared) : new OpenFileDestination();
}

/** A pipe or socket: a stalled reader delays only the write. */
class PipeDestination implements Destination {
  readonly name = 'stdout';
  readonly #shared: boolean;
  #socket: Socket | undefined;

  constructor(shared: boolean) {
    this.#shared = shared;
  }

  async write(entries: readonly AuditEntry[]): Promise<Written> {
    let done = 0;
    try {
      const socket = this.#open();
      while (done < entries.length) {
        const count = this.#shared ? fitting(entries, done) : entries.length;
        const piece = entries.slice(done, done + count);
        await writeTo(socket, `${piece.map(({ line }) => line).join('\n')}\n`);
        done += count;
      }
      return { done };
    } catch (error) {
      // The reader of a partial write has closed the pipe.
      return { done, fault: faultOf(error) };
    }
  }

  close(): void {
    this.#socket?.destroy();
  }

  #open(): Socket {
    if (this.#socket && !this.#socket.destroyed) return this.#socket;
    const socket = openPipe(STDOUT);
    socket.on('error', () => socket.destroy());
    socket.unref();
    this.#socket = socket;
    return socket;
  }
}

/**
 * Number of lines from `from` that fit into one atomic write, so that lines of several processes do not mix; at least
 * one.
 */
function fitting(entries: readonly AuditEntry[], from: number): number {
  let size = 0;
  let count = 0;
  for (const { line } of entries.slice(from)) {
    size += Buffer.byteLength(line) + 1;
    if (count > 0 && size > ATOMIC_BYTES) break;
    count += 1;
  }
  return count;
}

function writeTo(socket: Socket, text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.write(text, (error) => (error ? reject(error) : resolve()));
  return promise;
}

/** A file or device, reopened for a handle of its own that can be closed. */
class OpenFileDestination implements Destination {
  readonly name = 'stdout';
  readonly #appender = new Appender();
  #file: FileHandle | undefined;

  async write(entries: readonly AuditEntry[]): Promise<Written> {
    try {
      this.#file ??= await open(`/proc/self/fd/${STDOUT}`, 'a');
    } catch (error) {
      return { done: 0, fault: faultOf(error) };
    }
    if (this.#appender.isIdle) this.#appender.begin(entries.map(({ line }) => line));
    return await this.#appender.write(this.#file);
  }

  async close(): Promise<void> {
    await this.#file?.close().catch(() => undefined);
  }
}

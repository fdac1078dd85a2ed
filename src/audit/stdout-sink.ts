import { fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { Appender, faultOf } from './appender.ts';
import type { AuditEntry, Destination, Written } from './sink.ts';
import { openPipe } from './sockets.ts';

const STDOUT = 1;

/** Standard output, or another open file of this process, whatever it is. */
export function stdoutDestination(fd: number = STDOUT): Destination {
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket() ? new PipeDestination(fd) : new OpenFileDestination(fd);
}

/** A pipe or socket: a reader that stops keeps the write waiting, and nothing else. */
class PipeDestination implements Destination {
  readonly name = 'stdout';
  readonly #fd: number;
  #socket: Socket | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(entries: readonly AuditEntry[]): Promise<Written> {
    const { promise, resolve } = Promise.withResolvers<Written>();
    let socket: Socket;
    try {
      socket = this.#open();
    } catch (error) {
      resolve({ done: 0, fault: faultOf(error) });
      return promise;
    }
    const text = `${entries.map(({ line }) => line).join('\n')}\n`;
    socket.write(text, (error) => {
      if (!error) resolve({ done: entries.length });
      // Whoever had read a part of it is gone.
      else resolve({ done: 0, fault: faultOf(error) });
    });
    return promise;
  }

  close(): void {
    this.#socket?.destroy();
  }

  #open(): Socket {
    if (this.#socket && !this.#socket.destroyed) return this.#socket;
    const socket = openPipe(this.#fd);
    socket.on('error', () => socket.destroy());
    socket.unref();
    this.#socket = socket;
    return socket;
  }
}

/** A file or device. It is opened anew, for a handle of its own that can be closed. */
class OpenFileDestination implements Destination {
  readonly name = 'stdout';
  readonly #path: string;
  readonly #appender = new Appender();
  #file: FileHandle | undefined;

  constructor(fd: number) {
    this.#path = `/proc/self/fd/${fd}`;
  }

  async write(entries: readonly AuditEntry[]): Promise<Written> {
    try {
      this.#file ??= await open(this.#path, 'a');
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

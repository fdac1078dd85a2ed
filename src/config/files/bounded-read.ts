import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';

/** Largest file of configuration, keys, policy, certificates or revocations, in bytes. */
export const MAX_FILE_BYTES = 64 * 1_048_576;

/** INVARIANT: opening never blocks, not even on a named pipe without a writer. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * A file that must not be read: not a regular file, so that reading could block or never end (`EFTYPE`), or larger than
 * `MAX_FILE_BYTES` (`EFBIG`).
 */
class UnreadFile extends Error {
  readonly code: 'EFTYPE' | 'EFBIG' | 'EISDIR';

  constructor(code: UnreadFile['code']) {
    super(code);
    this.code = code;
  }
}

/** The content of a regular file of at most `MAX_FILE_BYTES`. Throws system errors, and `EFTYPE` or `EFBIG`. */
export function readBounded(path: string): Buffer {
  const descriptor = openSync(path, FLAGS);
  try {
    const room = roomFor(fstatSync(descriptor));
    let size = 0;
    while (size < room.length) {
      const read = readSync(descriptor, room, size, room.length - size, null);
      if (read === 0) return room.subarray(0, size);
      size += read;
    }
    throw new UnreadFile('EFBIG');
  } finally {
    closeSync(descriptor);
  }
}

/** The same, asynchronous. */
export async function readBoundedLater(path: string): Promise<Buffer> {
  const handle = await open(path, FLAGS);
  try {
    const room = roomFor(await handle.stat());
    let size = 0;
    while (size < room.length) {
      const { bytesRead } = await handle.read(room, size, room.length - size, null);
      if (bytesRead === 0) return room.subarray(0, size);
      size += bytesRead;
    }
    throw new UnreadFile('EFBIG');
  } finally {
    await handle.close();
  }
}

/** A buffer for the current size of the file, and more for files without a size. A file that fills it has grown. */
function roomFor(found: Stats): Buffer {
  if (found.isDirectory()) throw new UnreadFile('EISDIR');
  if (!found.isFile()) throw new UnreadFile('EFTYPE');
  if (found.size > MAX_FILE_BYTES) throw new UnreadFile('EFBIG');
  return Buffer.alloc(Math.max(found.size + 1, 65_536));
}

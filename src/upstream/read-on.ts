import type { Socket } from 'node:net';

/** Codes of a write to a peer that has closed its end. */
const CLOSED = new Set(['EPIPE', 'ECONNRESET']);

type Written = (error?: Error | null) => void;

/**
 * A failed write does not end this connection. Upstream may answer before it has read a request, and close: its answer has
 * come then, but Node would end the socket with the write, and the answer with it. The read that follows brings the answer,
 * and then the end or the error of the connection.
 *
 * INVARIANT: a stream has one write under way at a time.
 */
export function readOnWhenClosed(socket: Socket): void {
  let waiting: Written | undefined;
  const written: Written = (error) => {
    const done = waiting;
    waiting = undefined;
    done?.(error && 'code' in error && CLOSED.has(String(error.code)) ? null : error);
  };
  const { _write: write, _writev: writev } = socket;
  socket._write = (chunk, encoding, done) => {
    waiting = done;
    write.call(socket, chunk, encoding, written);
  };
  if (!writev) return;
  socket._writev = (chunks, done) => {
    waiting = done;
    writev.call(socket, chunks, written);
  };
}

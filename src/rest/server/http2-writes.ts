import type { Http2Session } from 'node:http2';
import type { Guard } from '../../lifetime/guard.ts';

/** The error of a write that cannot be: `EPIPE`, as libuv gives it. */
const BROKEN_PIPE = -32;

type Write = (this: unknown, request: unknown, buffers: unknown) => unknown;

/**
 * What `node:http2` writes to a connection that is no socket of the system's own goes through a stand-in of Node's. That
 * asserts that nothing is written once it was told to end, which Node's own session does (v26.10.0) when its client goes
 * away while streams are still answered: and an assertion that fails there ends the process. Here the write fails, as one to
 * any other connection that has ended.
 *
 * @param guard of the connection, for any other exception
 */
export function guardWrites(session: Http2Session, guard: Guard): void {
  const handle: unknown = Reflect.get(session.socket, '_handle');
  if (typeof handle !== 'object' || handle === null || !('onwrite' in handle)) return;
  const write = handle.onwrite;
  if (typeof write !== 'function') return;
  const guarded: Write = function (request, buffers) {
    try {
      return (write as Write).call(this, request, buffers);
    } catch (error) {
      if (!isAssertion(error)) guard.failed(error);
      return BROKEN_PIPE;
    }
  };
  Reflect.set(handle, 'onwrite', guarded);
}

function isAssertion(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_INTERNAL_ASSERTION';
}

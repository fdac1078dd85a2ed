import type { Http2Session } from 'node:http2';
import type { Guard } from '../../lifetime/guard.ts';

/** The error of a write that cannot be: `EPIPE`, as libuv gives it. */
const BROKEN_PIPE = -32;

type Write = (this: unknown, request: unknown, buffers: unknown) => unknown;

/**
 * Turns writes after the end of an HTTP/2 connection into write errors. Over a stream that is not a native socket,
 * `node:http2` writes through `JSStreamSocket`, which asserts that no write follows the end. Node's own session (v26.10.0)
 * writes after it when the client leaves while streams are being answered, and a failed assertion there ends the process.
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

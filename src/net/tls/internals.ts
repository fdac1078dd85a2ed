import type { TLSSocket } from 'node:tls';

/*
 * Parts of Node that it uses itself and its documents do not name: for `onread` of `net.Socket`, of the socket that stands for a stream
 * below TLS, and of `tls.Server` (`lib/internal/stream_base_commons.js`, `lib/internal/js_stream_socket.js`, `lib/internal/tls/wrap.js` of
 * Node 24 and 26). `reading.test.ts` holds that they are there.
 */

/** The handle of a socket (`TCP`, `Pipe`). */
export interface SocketHandle {
  /** Called for each read, and for its end or error. */
  onread: () => unknown;
  /** In all. */
  readonly bytesRead: number;
  /** From now on bytes are read into this buffer, by the `onread` of the handle, and come to nothing else. */
  readonly useUserBuffer: (buffer: Uint8Array) => void;
  readonly readStart: () => number;
  readonly readStop: () => number;
}

/** The handle of a `TLSSocket`. */
interface TlsHandle {
  /** Why the certificate of the client is none that can be trusted. */
  readonly verifyError: () => { readonly code?: string } | null | undefined;
  /** For a stream below TLS. */
  readonly _parentWrap?: unknown;
}

/** The socket that stands for the stream below TLS (`JSStreamSocket`). */
export interface StreamSocket {
  /** Null once it is closed. */
  readonly _handle: StreamHandle | null;
  doWrite: (request: object, chunks: readonly Buffer[]) => number;
  readonly finishWrite: (handle: StreamHandle, error: number) => void;
}

interface StreamHandle {
  /** Gives bytes to OpenSSL, which takes them at once. */
  readonly readBuffer: (bytes: Uint8Array) => void;
}

export function isSocketHandle(handle: unknown): handle is SocketHandle {
  return has(handle, 'useUserBuffer', 'readStart', 'readStop', 'onread');
}

/** The name under which it keeps the write that is under way. */
let current: symbol | undefined;

/** The stream below a connection. Throws where this Node keeps it in another way. */
export function streamBelow(secure: TLSSocket): StreamSocket {
  const stream = tlsHandleOf(secure)?._parentWrap;
  if (!has(stream, 'doWrite', 'finishWrite') || !has(Reflect.get(Object(stream), '_handle'), 'readBuffer'))
    throw unknownNode();
  current ??= Object.getOwnPropertySymbols(stream).find(({ description }) => description === 'kCurrentWriteRequest');
  if (!current) throw unknownNode();
  return stream as StreamSocket;
}

/** A write has begun, and ends with `finishWrite`. Before that, a stream that is closed ends it. */
export function beginWrite(stream: StreamSocket, request: object): void {
  if (current) Reflect.set(stream, current, request);
}

/** Why connections are refused. */
export function unknownNode(): TypeError {
  return new TypeError('this Node.js gives no way to read below TLS');
}

function tlsHandleOf(secure: TLSSocket): TlsHandle | undefined {
  const handle: unknown = '_handle' in secure ? secure._handle : undefined;
  return has(handle, 'verifyError') ? (handle as TlsHandle) : undefined;
}

function has(handle: unknown, ...names: readonly string[]): handle is object {
  if (typeof handle !== 'object' || handle === null) return false;
  return names.every((name) => typeof Reflect.get(handle, name) === 'function');
}

/**
 * Notes on a connection whether the certificate of its client was verified (`authorized`, `authorizationError`), as `tls.Server` does.
 * A session that was resumed without a certificate is none. INVARIANT: `true` only if OpenSSL found no fault, and there is one.
 */
export function verify(secure: TLSSocket): boolean {
  const handle = tlsHandleOf(secure);
  if (!handle) return false;
  const error = handle.verifyError();
  const isThere = secure.getPeerX509Certificate() !== undefined;
  const code = error ? (error.code ?? 'UNSPECIFIED') : isThere ? undefined : 'UNABLE_TO_GET_ISSUER_CERT';
  Object.assign(secure, code === undefined ? { authorized: true } : { authorizationError: code });
  return code === undefined;
}

/** The handshake is over: errors are the connection's own from now on. `false` = it was before, or this Node has another way. */
export function releaseControl(secure: TLSSocket): boolean {
  if (!('_releaseControl' in secure) || typeof secure._releaseControl !== 'function') return false;
  if (secure._releaseControl() !== true) return false;
  Object.assign(secure, { secureConnecting: false });
  return true;
}

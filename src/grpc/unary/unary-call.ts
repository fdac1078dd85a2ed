import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../http2/frames.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import type { SocketAddress, SocketOptions } from '../../upstream/sockets.ts';
import { PREFIX_BYTES } from '../message/message.ts';
import type { Answer, UnaryAnswer } from './unary-answer.ts';

/** Where the unsecured Qdrant listens for gRPC. */
export interface GrpcUpstream {
  readonly address: SocketAddress;
  /** `:authority` of the calls. */
  readonly authority: string;
  readonly socket: SocketOptions;
}

/** One unary call to be made. */
export interface Question {
  readonly path: string;
  /** Without its prefix. */
  readonly message: Buffer;
  /** Milliseconds until the call is given up, 1 to 99 999 999; upstream is told of them. */
  readonly leftMs: number;
  /** Aborted when the caller waits no more; `undefined` = it always waits. */
  readonly signal: AbortSignal | undefined;
}

/** `refused`: upstream has not looked at the call and will not, so it may be made again (RFC 9113 section 8.7). */
export type Outcome = Answer | 'refused';

/** Window of a new connection and of its streams, in bytes (RFC 9113 section 6.9.2). The gateway's own ones stay so. */
export const WINDOW = 65_535;
/** Bytes that are granted again in one frame. */
const GRANT_BYTES = 32_768;

/** A call of a connection, from the question to its outcome. */
export interface UnaryCall {
  /** Milliseconds of the connection's clock. */
  readonly since: number;
  readonly head: readonly HeaderField[];
  readonly answer: UnaryAnswer;
  readonly window: ReceiveWindow;
  readonly end: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
  /** 0 = it waits until upstream takes another stream. */
  streamId: number;
  /** DATA that has not been sent, and how much of it upstream's window lets through. */
  unsent: Buffer;
  sendWindow: number;
  /** Upstream has said anything of it. */
  isHeard: boolean;
}

/** Bytes that upstream may send on the connection or on one stream: granted again as they are read. */
export class ReceiveWindow {
  #room = WINDOW;
  #read = 0;

  /** DATA of so many bytes, padding included, has come. Throws `Http2Fault` when upstream was not granted as much. */
  take(bytes: number): void {
    this.#room -= bytes;
    this.#read += bytes;
    if (this.#room < 0) throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, 'more was sent than granted');
  }

  /** Bytes to grant now; 0 = there is no need yet. */
  grant(): number {
    const bytes = this.#read;
    if (bytes < GRANT_BYTES) return 0;
    this.#read = 0;
    this.#room += bytes;
    return bytes;
  }
}

/**
 * A window of upstream's after a change. Throws `Http2Fault` when it exceeds the limit (RFC 9113 section 6.9.1).
 *
 * @param faultOn the stream whose fault that is; 0 = the connection
 */
export function widened(window: number, bytes: number, faultOn: number): number {
  if (window + bytes > MAX_WINDOW) throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, faultOn, 'window overflow');
  return window + bytes;
}

/** The header list of a call (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Requests"). */
export function headOf({ address, authority }: GrpcUpstream, { path, leftMs }: Question): readonly HeaderField[] {
  return [
    [':method', 'POST'],
    [':scheme', address.tls ? 'https' : 'http'],
    [':path', path],
    [':authority', authority],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['grpc-accept-encoding', 'identity,gzip'],
    ['grpc-timeout', `${Math.ceil(leftMs)}m`],
  ];
}

/** A message that is not compressed, with its prefix. */
export function prefixed(message: Buffer): Buffer {
  const framed = Buffer.alloc(PREFIX_BYTES + message.length);
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, PREFIX_BYTES);
  return framed;
}

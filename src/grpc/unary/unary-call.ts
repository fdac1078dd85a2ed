import { ErrorCode, Http2Fault, MAX_WINDOW } from '../../http2/frames.ts';
import type { HeaderField } from '../../http2/hpack.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import type { SocketAddress, SocketOptions } from '../../upstream/sockets.ts';
import type { AnswerPlace } from '../answer-place.ts';
import { addFields } from '../headers/request-head.ts';
import { PREFIX_BYTES } from '../message/message.ts';
import type { Answer, UnaryAnswer } from './unary-answer.ts';

/** Qdrant's gRPC port. */
export interface GrpcUpstream {
  readonly address: SocketAddress;
  /** `:authority` of the calls. */
  readonly authority: string;
  /** The credential in force. */
  readonly credential: () => UpstreamCredential;
  readonly socket: SocketOptions;
}

/** A unary call to make. */
export interface Question {
  readonly path: string;
  /** Without its prefix. */
  readonly message: Buffer;
  /** Time limit in milliseconds, 1 to 99 999 999; sent to upstream as `grpc-timeout`. */
  readonly leftMs: number;
  /** Name, value, ... shown to upstream; `undefined` = the gateway's own credential. */
  readonly shown: readonly string[] | undefined;
  /** Name, value, ... beside them; `undefined` = nothing. */
  readonly added?: readonly string[] | undefined;
  /** Aborted when the caller has left; `undefined` = never. */
  readonly signal: AbortSignal | undefined;
  /** The memory of its answer; `undefined` = it is not counted. */
  readonly place?: AnswerPlace | undefined;
}

/** `refused`: upstream has not processed the call and will not, so it may be retried (RFC 9113 section 8.7). */
export type Outcome = Answer | 'refused';

/**
 * Initial window of a connection and its streams, in bytes (RFC 9113 section 6.9.2). The gateway's own ones keep it.
 */
export const WINDOW = 65_535;
/** Bytes per WINDOW_UPDATE. */
const GRANT_BYTES = 32_768;

/** A call of a connection, from the question to its outcome. */
export interface UnaryCall {
  /** Start of the call, on the connection's clock in milliseconds. */
  readonly since: number;
  readonly head: readonly HeaderField[];
  readonly answer: UnaryAnswer;
  readonly window: ReceiveWindow;
  readonly place: AnswerPlace | undefined;
  readonly end: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
  /** 0 = waits until upstream accepts another stream. */
  streamId: number;
  /** Unsent DATA, and the part of it that upstream's window permits. */
  unsent: Buffer;
  sendWindow: number;
  /** True = the answer waits for memory: upstream is granted nothing more for it. */
  waits: boolean;
  /** True = upstream has sent any frame for it. */
  isHeard: boolean;
}

/** Bytes that upstream may send on the connection or on one stream; granted again when they are read. */
export class ReceiveWindow {
  #available = WINDOW;
  #read = 0;

  /** Counts received DATA, padding included. Throws `Http2Fault` if upstream exceeded its window. */
  take(bytes: number): void {
    this.#available -= bytes;
    this.#read += bytes;
    if (this.#available < 0) throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, 0, 'more was sent than granted');
  }

  /** Bytes to grant now; 0 = not yet. */
  grant(): number {
    const bytes = this.#read;
    if (bytes < GRANT_BYTES) return 0;
    this.#read = 0;
    this.#available += bytes;
    return bytes;
  }
}

/**
 * A window of upstream after a change. Throws `Http2Fault` if it exceeds the maximum (RFC 9113 section 6.9.1).
 *
 * @param faultOn stream of the fault; 0 = the connection
 */
export function widened(window: number, bytes: number, faultOn: number): number {
  if (window + bytes > MAX_WINDOW) throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, faultOn, 'window overflow');
  return window + bytes;
}

/** The header list of a call (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Requests"). */
export function headOf(upstream: GrpcUpstream, { path, leftMs, shown, added }: Question): readonly HeaderField[] {
  const { address, authority } = upstream;
  const fields: HeaderField[] = [
    [':method', 'POST'],
    [':scheme', address.tls ? 'https' : 'http'],
    [':path', path],
    [':authority', authority],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    // A compressed answer would be of any length when inflated.
    ['grpc-accept-encoding', 'identity'],
    ['grpc-timeout', `${Math.ceil(leftMs)}m`],
  ];
  addFields(fields, shown ?? upstream.credential().own);
  if (added) addFields(fields, added);
  return fields;
}

/** An uncompressed message with its prefix. */
export function prefixed(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, PREFIX_BYTES);
  return framed;
}

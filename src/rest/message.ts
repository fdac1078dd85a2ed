import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** A client's request as the server transport reads it: of `node:http`, or of a stream of an HTTP/2 connection. */
export interface ClientRequest extends Readable {
  readonly httpVersion: string;
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
  readonly method?: string | undefined;
  /** The fields that the transport itself reads, names in lower case. */
  readonly headers: { readonly [field in TransportField]?: string | undefined };
  /** Name, value, name, value, in order, without HTTP/2's pseudo-headers. */
  readonly rawHeaders: readonly string[];
  /** All of the body has come. */
  readonly complete: boolean;
  /** The connection's socket. */
  readonly socket: Socket;
}

type TransportField = 'content-length' | 'transfer-encoding' | 'expect' | 'upgrade';

/** The answer to a client as the server transport writes it; its head goes through `RestExchange.sendHead`. */
export interface ClientResponse {
  statusCode: number;
  /** HTTP/1: the connection goes on behind this answer. */
  shouldKeepAlive: boolean;
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  /** Bytes that were written and that the client has not taken. */
  readonly writableLength: number;
  /** `false` = wait for `drain`. */
  write(chunk: Buffer): boolean;
  end(): unknown;
  destroy(): unknown;
  /** Sends `100 Continue`. */
  writeContinue(): void;
  /** `close` comes once: the answer is over, or the client has left. */
  on(event: 'close' | 'drain' | 'error', listener: () => void): unknown;
  once(event: 'close' | 'drain', listener: () => void): unknown;
}

/** The HTTP/2 stream of a request and its response. */
export interface ClientStream {
  /** Pseudo-header `:authority`, or `host` without one; empty = none. */
  readonly authority: string;
  /** The request has no body: its head carried END_STREAM. */
  readonly endsWithHead: boolean;
  /** Both sides have ended, one of them was reset, or the connection is gone. */
  readonly closed: boolean;
  /**
   * Sends the head of the answer. `date` is added where it is missing. Throws `TypeError`, with nothing sent, when a field
   * cannot be sent.
   *
   * @param headers name, value, ... in lower case @param ends no body follows
   */
  respond(status: number, headers: readonly string[], ends: boolean): void;
  /** Resets the stream; an answer that is not whole ends broken. @param code RFC 9113 section 7 */
  reset(code: number): void;
  /**
   * Throws away the rest of the request body within the bounds of `Linger`; past them the stream is reset, behind its answer.
   *
   * @param known the caller has a credential
   */
  swallow(known: boolean): void;
  /** The request has a good credential: its connection gets the limits of known callers. */
  known(): void;
}

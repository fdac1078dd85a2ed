import { type Frame, frameOf, type Setting } from '../../http2/frames.ts';
import type { GrpcExchange } from '../exchange.ts';

/**
 * Upstream, as the client half of a relay sees it: one connection whose windows pass end to end (`UpstreamHalf`), or the
 * connections to several nodes (`CallSpread`).
 */
export interface UpstreamSide {
  /** Most bytes of a call that may be held for its decision. */
  readonly holdLimit: number;
  /** True = upstream counts on the connection window that the client has granted. */
  readonly sharesWindow: boolean;
  /** True = a burst of upstream is being processed; its end sends what is pending. */
  readonly reading: boolean;
  /** True = the client must not be read before upstream has taken more. */
  readonly congested: boolean;
  /** Sends a permitted call with its held DATA, or ends it if it cannot be sent. */
  open(exchange: GrpcExchange): void;
  /** Sends a DATA frame of an opened call. */
  pass(exchange: GrpcExchange, frame: Frame): void;
  /** Cancels a call at upstream, if it was opened. */
  cancel(exchange: GrpcExchange, code: number): void;
  /** A call has left the table of streams. */
  ended(exchange: GrpcExchange): void;
  /** Takes settings of the client, to be acknowledged once. */
  takeSettings(settings: readonly Setting[]): void;
  /** The client acknowledged settings that came from here. */
  clientAcknowledged(): void;
  /** The client granted its connection more. @param bytes upstream's part of it */
  granted(bytes: number): void;
  /** The client granted a stream more, with this frame. */
  grantedStream(exchange: GrpcExchange, increment: number, frame: Frame): void;
  /** A burst of the client has ended: continues what waited for its windows. */
  burstEnded(): void;
  /** The client's socket has drained. */
  clientDrained(): void;
  /** Queues what windows permit; before each `flush`. */
  move(): void;
  /** Sends what is pending. */
  flush(): void;
  /** A call has waited too long. True = it goes on, at another node. @param now milliseconds */
  waitedTooLong(exchange: GrpcExchange, now: number): boolean;
  /** Called about once a second. @param now milliseconds */
  tick(now: number): void;
  /** The client has ended. */
  close(): void;
}

/** Sends the held DATA of an opened call. */
export function passHeld(side: Pick<UpstreamSide, 'pass'>, exchange: GrpcExchange): void {
  const { held } = exchange;
  if (held.isEmpty) return;
  if (held.lent) side.pass(exchange, held.lent);
  else for (const raw of held.frames) side.pass(exchange, frameOf(raw));
  held.clear();
}

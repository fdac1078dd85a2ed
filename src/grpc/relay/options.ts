import type { ExchangeParts } from '../../exchange/exchange.ts';
import type { ClientLimits } from '../../http2/client-link.ts';
import type { FloodPenalty } from '../../limits/flood-penalty.ts';
import type { WorkScheduler } from '../../limits/work-scheduler.ts';
import type { Connections } from '../../net/connections.ts';
import type { SocketAddress, SocketOptions } from '../../upstream/sockets.ts';
import type { AskUpstream } from '../answer.ts';
import type { MessageLimits } from '../message/message.ts';

/** What every connection of a listener shares. */
export interface GrpcRelayOptions {
  readonly parts: ExchangeParts;
  readonly upstream: { readonly address: SocketAddress; readonly authority: string; readonly socket: SocketOptions };
  readonly limits: ClientLimits & {
    /** Milliseconds without a frame after which a settled call, an unsettled one, and an idle connection end. */
    readonly streamIdleMs: number;
    readonly bodyIdleMs: number;
    readonly connectionIdleMs: number;
  };
  /** How much of a compressed message is held to be read. */
  readonly messageLimits: MessageLimits;
  /** Read the names in every message, also where no decision needs them: the audit says them. */
  readonly noteNames?: boolean;
  /** The gateway's own calls, for answers it gives itself. */
  readonly ask: AskUpstream;
  /** Addresses that flooded lately. */
  readonly floodPenalty: FloodPenalty;
  /** Of the thread, shared by all connections. */
  readonly turns: WorkScheduler;
  /** Milliseconds. */
  readonly clock: () => number;
  readonly tls: boolean;
  /** Who is told of what clients send that is refused; nobody without it. */
  readonly connections?: Connections | undefined;
}

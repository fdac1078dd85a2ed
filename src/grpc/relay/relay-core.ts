import type { ExchangeParts } from '../../exchange/exchange.ts';
import type { ClientHeads } from '../../http2/client-heads.ts';
import type { ClientLink } from '../../http2/client-link.ts';
import type { Denial } from '../../policy/denial.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { RequestHead } from '../headers/request-head.ts';
import type { ClientWindow } from './client-window.ts';
import type { StreamTable } from './stream-table.ts';
import type { StreamWindows } from './stream-windows.ts';

/** The parts of a relayed connection that its halves share. */
export interface RelayCore {
  readonly parts: ExchangeParts;
  readonly client: ClientLink<RequestHead>;
  readonly heads: ClientHeads;
  readonly window: ClientWindow;
  readonly streamWindows: StreamWindows;
  readonly streams: StreamTable;
  /** Client address, as sent to upstream. */
  readonly peer: string;
  /** Called when both sides may have ended: removes the call if so. */
  settleEnd(exchange: GrpcExchange): void;
  end(exchange: GrpcExchange): void;
  reject(exchange: GrpcExchange, denial: Denial): void;
  resetClient(streamId: number, code: number): void;
  drainAtOnce(): void;
  flush(): void;
  /** An internal error: open calls are answered with it, and the connection ends. */
  failOpen(): void;
}

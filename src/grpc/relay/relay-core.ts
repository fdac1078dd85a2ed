import type { ExchangeParts } from '../../exchange/exchange.ts';
import type { ClientHeads } from '../../http2/client-heads.ts';
import type { ClientLink } from '../../http2/client-link.ts';
import type { Frame } from '../../http2/frames.ts';
import type { PresentedCertificate } from '../../identity/certificates/presented.ts';
import type { Standing } from '../../lifetime/standing.ts';
import type { ClientAddress } from '../../net/client-address.ts';
import type { Conditional, Permit, References } from '../../policy/decide.ts';
import type { Denial } from '../../policy/denial.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { RequestHead } from '../headers/request-head.ts';
import type { ClientWindow } from './client-window.ts';
import type { StreamTable } from './stream-table.ts';
import type { StreamWindows } from './stream-windows.ts';

/** The steps of open calls that frames of either side lead to. */
export interface OpenCalls {
  /** A call has been inspected: continues with the result. */
  bodyChecked(exchange: GrpcExchange, decision: Permit | Conditional, found: References | Denial): void;
  /** DATA of a call that is held whole. */
  collect(exchange: GrpcExchange, frame: Frame): void;
  reject(exchange: GrpcExchange, denial: Denial): void;
  /** Called when both sides may have ended: removes the call if so. */
  settleEnd(exchange: GrpcExchange): void;
  /** Removes and records a call, whatever is left of it. */
  end(exchange: GrpcExchange): void;
  /** Resets a stream of the client; late frames of it are ignored. */
  resetClient(streamId: number, code: number): void;
}

/** The parts of a relayed connection that its halves share. */
export interface RelayCore {
  readonly parts: ExchangeParts;
  readonly client: ClientLink<RequestHead>;
  readonly heads: ClientHeads;
  readonly window: ClientWindow;
  readonly streamWindows: StreamWindows;
  readonly streams: StreamTable;
  readonly calls: OpenCalls;
  readonly peer: ClientAddress;
  readonly certificate: PresentedCertificate | undefined;
  readonly standing: Standing;
  drainAtOnce(): void;
  /** Sends pending frames. */
  flush(): void;
  /** Called at the end of a burst: continues the calls that waited for it, and sends pending frames. */
  burstEnded(): void;
  /** Stops reading the client while it does not accept data, or upstream does not. */
  pauseIfCongested(): void;
  /** An internal error: open calls are answered with it, and the connection ends. */
  failOpen(): void;
}

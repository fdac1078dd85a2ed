import type { Exchange } from '../exchange/exchange.ts';
import type { RestResolution } from './resolve.ts';

/** A REST request as the protocol sees it, the same for both transports. */
export interface RestRequest extends Exchange {
  readonly protocol: 'rest';
  resolution: RestResolution | undefined;
  /** `Host` or `:authority`; empty = none. */
  readonly host: string;
  readonly peer: { readonly scheme: 'http' | 'https' };
}

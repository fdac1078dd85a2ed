import { type Exchange, unbegun } from '../exchange/exchange.ts';
import type { Permit } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Rewriting } from '../policy/tenants/rewriting.ts';

/** The end of a request that is judged offline. */
export type Ending =
  | {
      readonly kind: 'forwarded';
      readonly permit: Permit;
      /** Set = this goes upstream instead of the client's request. */
      readonly rewriting: Rewriting | undefined;
      /** REST: the rebuilt path, with its query. */
      readonly path?: string | undefined;
    }
  | { readonly kind: 'refused'; readonly denial: Denial };

/** A request that is judged offline: an exchange without socket. */
export interface OfflineExchange extends Exchange {
  ending: Ending | undefined;
  /** Called once, when `ending` is set. */
  readonly done: () => void;
}

/** The head of such a request. */
export interface OfflineHead {
  readonly requestTarget: string;
  /** Name, value, name, value, one character per byte. */
  readonly headers: readonly string[];
  readonly remote: string;
  readonly hasBody: boolean;
}

/** The state of an exchange that has not begun. */
export function offlineState(head: OfflineHead, done: () => void) {
  return { ...unbegun(), ...head, resolution: undefined, principal: undefined, ending: undefined, done };
}

/** Ends it, once: the first answer counts, as for a client. */
export function endAs(exchange: Pick<OfflineExchange, 'ending' | 'done'>, ending: Ending): void {
  if (exchange.ending) return;
  exchange.ending = ending;
  exchange.done();
}

/** The request that a permit sends instead of the client's. */
export function rewritingOf({ tenant }: Permit): Rewriting | undefined {
  return typeof tenant === 'object' ? tenant : undefined;
}

/** The parts of a protocol that are the same for each request offline: nothing waits, nothing is sent, and both ends are told. */
export const OFFLINE_ENDS = {
  isCrossSite: () => false,
  abandonBody: () => undefined,
  forward(exchange: OfflineExchange, permit: Permit): void {
    endAs(exchange, { kind: 'forwarded', permit, rewriting: rewritingOf(permit) });
  },
  reject(exchange: OfflineExchange, denial: Denial): void {
    exchange.refusal = denial;
    endAs(exchange, { kind: 'refused', denial });
  },
};

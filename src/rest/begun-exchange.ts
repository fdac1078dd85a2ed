import type { ExchangeParts } from '../exchange/exchange.ts';
import { finish } from '../exchange/steps.ts';
import type { Conditional, Permit } from '../policy/decide.ts';
import type { RestExchange } from './exchange.ts';
import { connectionLife } from './exchange-life.ts';
import type { RelayExchange } from './relay/exchange.ts';

/** An exchange that the relay has brought as far as a decision which the other lane carries out. */
export interface BegunExchange {
  readonly exchange: RelayExchange;
  readonly decision: Permit | Conditional;
}

interface Left extends BegunExchange {
  readonly takeBack: () => void;
}

const leftOn = new WeakMap<object, Left>();

type Socket = Parameters<typeof connectionLife>[0];

/**
 * Leaves an exchange to the lane that is given its socket. INVARIANT: one request is one exchange: it is admitted, known and
 * recorded once, whichever lanes it passes. Where the other lane never comes to it, it ends with its connection.
 */
export function leaveBegun(socket: Socket, begun: BegunExchange, parts: ExchangeParts): void {
  // Nothing of it has gone upstream.
  begun.exchange.forwardedAt = 0;
  const life = connectionLife(socket, (error, place) => parts.fault(error, undefined, place));
  let takeBack = (): void => undefined;
  leftOn.set(socket, { ...begun, takeBack: () => takeBack() });
  takeBack = life.onEnd(() => endBegun(socket, parts, undefined));
}

/** Takes the exchange that was left on this socket; `undefined` on the next call. */
export function takeBegun(socket: object): BegunExchange | undefined {
  const left = leftOn.get(socket);
  if (!left) return undefined;
  leftOn.delete(socket);
  left.takeBack();
  return left;
}

/** Ends what was left on this socket and has not been taken. @param status what its client was told */
export function endBegun(socket: object, parts: ExchangeParts, status: number | undefined): void {
  const begun = takeBegun(socket);
  if (begun) finish(parts, begun.exchange, { status, received: 0, sent: 0 });
}

/** Makes `exchange` the one that was begun. `false` = its head does not say the same: it is to be refused. */
export function continueBegun(exchange: RestExchange, { exchange: begun, decision }: BegunExchange): boolean {
  begun.ended = true;
  exchange.resolution = begun.resolution;
  exchange.principal = begun.principal;
  exchange.identifiedBy = begun.identifiedBy;
  exchange.identifiedAt = begun.identifiedAt;
  exchange.decision = decision;
  exchange.references = begun.references;
  exchange.shadowed = begun.shadowed;
  exchange.rail = begun.rail;
  exchange.passedRail = begun.passedRail;
  exchange.slowed = begun.slowed;
  exchange.callCredit = begun.callCredit;
  exchange.wantsFacts = begun.wantsFacts;
  exchange.wantsWhole = begun.wantsWhole;
  exchange.facts = begun.facts;
  exchange.limitHold = begun.limitHold;
  exchange.requestId = begun.requestId;
  exchange.trace = begun.trace;
  exchange.startedAt = begun.startedAt;
  const { method, requestTarget, headers } = exchange;
  if (method !== begun.method || requestTarget !== begun.requestTarget) return false;
  return headers.length === begun.headers.length && headers.every((part, index) => part === begun.headers[index]);
}

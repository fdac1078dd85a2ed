import { isHeldWhole } from '../policy/body-checks.ts';
import { askForNames, askForNamesOf, type Conditional, type Decision, type Permit } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Target } from '../policy/operation.ts';
import { fixedFacts, hasFacts } from '../policy/search/operations.ts';
import type { Exchange, ExchangeParts } from './exchange.ts';
import { resolutionOf } from './shadow.ts';

/* The limits of the policy. Only permitted requests of known callers count, each once, whichever lanes it passes. */

/**
 * Counts a permitted request before its body is read, or makes it wait for what the limits depend on: the collection in its
 * message, the cost that its body tells, or its length. What waits is counted when its body has been read, and refused at once where a
 * limit that applies to it in any case has no room.
 */
export function limited(parts: ExchangeParts, exchange: Exchange, decision: Decision): Decision {
  const { limits, mode } = parts.policy.current;
  const { principal } = exchange;
  if (decision.kind === 'denial' || !principal || (limits === undefined && !exchange.wantsFacts)) return decision;
  const { operation, target } = resolutionOf(exchange);
  if (limits !== undefined && parts.limits.asksForCost(limits, principal, operation, nameOf(target))) {
    if (hasFacts(operation)) exchange.wantsFacts = true;
    else exchange.facts ??= fixedFacts(operation);
  }
  if (limits !== undefined && isHeldWhole(operation))
    exchange.wantsWhole = parts.limits.asksForLength(limits, exchange, principal);
  const waiting = waitingFor(parts, exchange, decision);
  if (limits === undefined || exchange.limitHold) return waiting;
  if (waiting.kind === 'permit' && !exchange.wantsFacts && !exchange.wantsWhole)
    return counted(parts, exchange, waiting);
  const hopeless = waiting.kind === 'conditional' && waiting.refusal !== undefined;
  if (mode !== 'enforce' || hopeless) return waiting;
  const denial = parts.limits.early(limits, exchange, principal, exchange.wantsFacts ? 1 : 0);
  return denial ? refused(exchange, denial) : waiting;
}

/** A call whose message tells its collection, its numbers or its length waits for it, although it is permitted. */
function waitingFor(parts: ExchangeParts, exchange: Exchange, decision: Permit | Conditional): Permit | Conditional {
  const { operation, target } = resolutionOf(exchange);
  if (exchange.protocol === 'grpc' && exchange.wantsWhole && decision.kind === 'permit') return askForNamesOf(decision);
  if (decision.kind !== 'permit' || target.kind !== 'in-message' || !exchange.principal) return decision;
  const { limits } = parts.policy.current;
  const forLimits = limits && parts.limits.asksForCollection(limits, exchange.principal, operation);
  return exchange.wantsFacts || forLimits ? askForNames(decision, target) : decision;
}

/**
 * Counts a permitted request on every limit that it meets, or refuses it and counts it on none.
 *
 * @param isWhole true = its body has come
 */
export function counted(parts: ExchangeParts, exchange: Exchange, permit: Permit, isWhole = false): Permit | Denial {
  const { limits, mode } = parts.policy.current;
  if (limits === undefined || exchange.limitHold?.counted || !exchange.principal) return permit;
  const denial = parts.limits.take(limits, exchange, exchange.principal, { enforce: mode === 'enforce', isWhole });
  return denial ? refused(exchange, denial) : permit;
}

/**
 * Counts a request whose body is refused for its form, which access, rules and guards have not refused: its bytes and itself,
 * and no cost. Returns the refusal for the client: the same, or that of a limit without room.
 */
export function countedRefusal(
  parts: ExchangeParts,
  exchange: Exchange,
  decision: Permit | Conditional,
  refusal: Denial,
): Denial {
  const hopeless = decision.kind === 'conditional' && decision.refusal !== undefined;
  if (refusal.why !== 'request' || hopeless) return refusal;
  const denial = takeUnread(parts, exchange);
  return denial ? refused(exchange, denial) : refusal;
}

/** Milliseconds for which a request keeps its places after its client has left. */
const LEAST_LINGER_MS = 1000;
const MOST_LINGER_MS = 60_000;

/** The end of an exchange on the limits: what it did not use is given back, and its places, as soon as upstream is done with it. */
export function endOnLimits(parts: ExchangeParts, exchange: Exchange, received: number): void {
  countUnread(parts, exchange);
  const { limitHold } = exchange;
  if (limitHold) parts.limits.end(limitHold, received, limitHold.bytes > received ? 0 : lingerMs(parts, exchange));
}

/** A refused request whose answer waits: its places and its creation are free at once. */
export function leaveLimits(parts: ExchangeParts, exchange: Exchange): void {
  const { limitHold } = exchange;
  exchange.limitHold = undefined;
  if (limitHold) parts.limits.end(limitHold, exchange.received);
  parts.creations.end(exchange, false);
}

/**
 * Upstream ends a call over gRPC when its stream is reset. A request over REST it may finish, although its connection has closed:
 * its places stay taken for as long again as it was there, from one second to one minute. Without its whole body it does nothing.
 */
function lingerMs(parts: ExchangeParts, { protocol, refusal, forwardedAt, answeredAt }: Exchange): number {
  if (protocol === 'grpc' || forwardedAt === 0 || answeredAt > 0) return 0;
  // Upstream that cannot be reached does no work.
  if (refusal !== undefined && refusal.code !== 'upstream_timeout') return 0;
  return Math.min(MOST_LINGER_MS, Math.max(LEAST_LINGER_MS, parts.now() - forwardedAt));
}

/** Counts what waited for its body, and ended without it or in its middle. */
function countUnread(parts: ExchangeParts, exchange: Exchange): void {
  const { decision, refusal } = exchange;
  if (parts.policy.current.limits === undefined || !decision || decision.kind === 'denial') return;
  const hopeless = decision.kind === 'conditional' && decision.refusal !== undefined;
  if (!hopeless && (refusal === undefined || refusal.why === 'request')) takeUnread(parts, exchange);
}

function takeUnread(parts: ExchangeParts, exchange: Exchange): Denial | undefined {
  const { limits, mode } = parts.policy.current;
  if (limits === undefined || exchange.limitHold?.counted || !exchange.principal) return undefined;
  return parts.limits.take(limits, exchange, exchange.principal, {
    enforce: mode === 'enforce',
    isWhole: true,
    cost: 0,
  });
}

function refused(exchange: Exchange, denial: Denial): Denial {
  exchange.decision = denial;
  return denial;
}

function nameOf(target: Target): string | undefined {
  return target.kind === 'collection' ? target.name : undefined;
}

import type { Principal } from '../identity/principal.ts';
import { Guard } from '../lifetime/guard.ts';
import { bodyNeeds } from '../policy/body-checks.ts';
import {
  type Conditional,
  type Decision,
  decide,
  decidePublic,
  type Permit,
  type References,
} from '../policy/decide.ts';
import { CERTIFICATE_CROSS_SITE, type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { dotNameRefused } from '../policy/names/dot-names.ts';
import { decideWithin } from '../policy/rules.ts';
import { withinBounds } from './bounds.ts';
import { withoutReason } from './break-glass.ts';
import { askedFor, withExisting } from './create-existing.ts';
import type { Exchange, ExchangeParts, Outcome, Protocol, Slowed } from './exchange.ts';
import { withinRails } from './guard-rails.ts';
import { counted as countedOn, countedRefusal, endOnLimits, leaveLimits, limited } from './limited.ts';
import { settledBy, settledPermit } from './settled.ts';
import { inForce, noteShadow, resolutionOf } from './shadow.ts';
import { stillStands } from './still-stands.ts';
import { lacksTenant, needsFeatures, settledWithinTenancy, type TenantFinding, withinTenancy } from './tenants.ts';

/**
 * One request and its response, whatever the protocol: the whole way of a request on one screen.
 *
 * ```
 * resolve -> admit -> authenticate -> [pace] -> decide -> [guard] -> [tenancy] -> [list] -> [count]
 *         -> [check body -> settle -> tenancy -> count] -> forward -> finish
 *             before forward, each step may end in: reject -> finish
 * ```
 *
 * Everything runs synchronously unless a credential or a body has to be waited for, so that the steady state costs no
 * promise. The steps that know a protocol are in `Protocol`; each lane supplies its own and nothing else differs.
 */

/** Steps 2 to 6 for a request whose head has arrived. */
export function begin<X extends Exchange>(parts: ExchangeParts, protocol: Protocol<X>, exchange: X): void {
  try {
    exchange.startedAt = parts.now();
    const resolution = protocol.resolve(exchange);
    exchange.resolution = resolution;
    const open = decidePublic(resolution.operation);
    if (open) {
      dispatch(parts, protocol, exchange, resolution.refusal ?? open);
      return;
    }
    whenKnown(parts, protocol, exchange, parts.admit(exchange), (refused) => {
      if (refused) dispatch(parts, protocol, exchange, refused);
      else identify(parts, protocol, exchange);
    });
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

function identify<X extends Exchange>(parts: ExchangeParts, protocol: Protocol<X>, exchange: X): void {
  whenKnown(
    parts,
    protocol,
    exchange,
    parts.authenticate(exchange.headers, exchange.memo, exchange.remote, exchange.certificate),
    (identity) => identified(parts, protocol, exchange, identity),
  );
}

/** Calls `next` with the value: at once, or when the promise resolves. A rejection denies. */
function whenKnown<X extends Exchange, T>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  value: T | Promise<T>,
  next: (value: T) => void,
): void {
  if (value instanceof Promise) {
    exchangeGuard(parts, protocol, exchange).settled(value, (known) => {
      if (!exchange.ended) next(known);
    });
  } else {
    next(value);
  }
}

/**
 * The end of step 5b. The only way from a body that needs checks to `forward`.
 *
 * @param found the names in the body, its denial, or `undefined` = no objection, and no names were requested
 * @param tenant what was found for the caller's tenancy, if that was requested
 */
export function bodyChecked<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Permit | Conditional,
  found: References | Denial | undefined,
  tenant?: TenantFinding,
): void {
  try {
    const names = found && 'kind' in found ? undefined : found;
    if (decision.kind === 'permit') {
      const bounded = found && 'kind' in found ? found : settledPermit(parts, exchange, decision, names);
      const judged = bounded.kind === 'permit' ? settledWithinTenancy(exchange, bounded, names, tenant) : bounded;
      const waits = exchange.wantsFacts || exchange.wantsWhole;
      const final = judged.kind === 'permit' && waits ? countedOn(parts, exchange, judged, true) : judged;
      if (final.kind === 'permit') send(parts, protocol, exchange, final);
      else refuse(parts, protocol, exchange, countedRefusal(parts, exchange, decision, final));
      return;
    }
    const free = settledBy(parts, exchange, decision, found ?? INTERNAL_FAULT);
    const settled = free.kind === 'permit' ? settledWithinTenancy(exchange, free, names, tenant) : free;
    const inMode = inForce(parts, exchange, settled);
    const final = inMode.kind === 'permit' ? countedOn(parts, exchange, inMode, true) : inMode;
    if (final.kind === 'permit') send(parts, protocol, exchange, final);
    else if (final.kind === 'denial')
      refuse(parts, protocol, exchange, countedRefusal(parts, exchange, decision, final));
    else protocol.reject(exchange, INTERNAL_FAULT);
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

/** Step 8: records the exchange; later calls do nothing. Pending waits of the exchange are void from then on. */
export function finish(parts: ExchangeParts, exchange: Exchange, outcome: Outcome): void {
  if (exchange.ended) return;
  exchange.ended = true;
  parts.creations.end(exchange, exchange.forwardedAt > 0 && exchange.answeredAt === 0);
  parts.refusals.ended(exchange);
  endOnLimits(parts, exchange, outcome.received);
  parts.record(exchange, outcome);
}

function identified<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  identity: Principal | Denial,
): void {
  if (identity.kind === 'denial') {
    refuseStranger(parts, protocol, exchange, identity);
    return;
  }
  exchange.principal = identity;
  exchange.identifiedBy = parts.identifying();
  exchange.identifiedAt = parts.now();
  exchange.standing?.known();
  exchange.refusalSlots?.seen(identity, exchange.identifiedAt);
  if (identity.authType === 'Certificate' && protocol.isCrossSite(exchange)) {
    dispatch(parts, protocol, exchange, CERTIFICATE_CROSS_SITE);
    return;
  }
  if (!parts.pace.mustWait(exchange)) {
    decideOn(parts, protocol, exchange, identity);
    return;
  }
  exchange.slowed = 'abandoned';
  const guard = exchangeGuard(parts, protocol, exchange);
  parts.pace.wait(
    exchange,
    guard.entry(() => {
      if (!exchange.ended) decideOn(parts, protocol, exchange, identity);
    }),
  );
}

/** The refusal of a wrong credential waits longer with each wrong one of the connection. */
function refuseStranger<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  denial: Denial,
): void {
  const delay = parts.policy.current.mode === 'enforce' ? parts.refusals.guessed(exchange) : 0;
  if (delay <= 0) {
    dispatch(parts, protocol, exchange, denial);
    return;
  }
  exchange.decision = denial;
  refuseLater(parts, protocol, exchange, denial, { delay, why: 'guesses' });
}

function decideOn<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  principal: Principal,
): void {
  const { access, bounds, breakGlass } = principal;
  const { operation, target, refusal, lateRefusal } = resolutionOf(exchange);
  const decided =
    refusal ??
    (breakGlass && withoutReason(exchange)) ??
    (bounds ? decideWithin(access, bounds, operation, target) : decide(access, operation, target));
  const permitted = decided.kind === 'denial' ? decided : (lateRefusal ?? decided);
  const guarded = withinRails(exchange, parts.policy.current.rails, permitted);
  const decision = principal.tenancy === undefined ? guarded : withinTenancy(exchange, principal, guarded);
  if (bounds && decision.kind === 'permit') noteShadow(exchange, operation, undefined);
  const asked = parts.createExisting && principal.tenancy === undefined && askedFor(exchange, decision);
  if (asked) {
    whenKnown(parts, protocol, exchange, parts.creations.existing(), (existing) =>
      dispatch(parts, protocol, exchange, withExisting(exchange, asked, existing)),
    );
  } else if (decision.kind === 'conditional' && decision.counted) {
    whenKnown(parts, protocol, exchange, parts.creations.existing(), (existing) =>
      dispatch(parts, protocol, exchange, existing ? { ...decision, existing } : decision),
    );
  } else {
    dispatch(parts, protocol, exchange, decision);
  }
}

function dispatch<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Decision,
): void {
  try {
    const bounded = withinBounds(parts, exchange, decision);
    carryOut(parts, protocol, exchange, limited(parts, exchange, inForce(parts, exchange, bounded)));
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

function carryOut<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Decision,
): void {
  if (decision.kind === 'denial') {
    refuse(parts, protocol, exchange, decision);
    return;
  }
  const dotName = exchange.resolution?.dotName;
  // Only for what goes upstream anyway: refused callers cause no question.
  const needsRelease =
    (decision.kind === 'permit' && (dotName !== undefined || decision.operation.pathNames === true)) ||
    needsFeatures(exchange, decision);
  const asked = needsRelease ? parts.bodyRules.releaseSettled() : undefined;
  if (asked) {
    whenKnown(parts, protocol, exchange, asked, () => resumeWith(parts, protocol, exchange, decision));
    return;
  }
  if (dotName !== undefined && parts.bodyRules.refusesDotNames(decision.kind === 'permit')) {
    protocol.reject(exchange, dotNameRefused(dotName, 'path'));
    return;
  }
  const needs = bodyNeeds(decision, exchange, parts.bodyRules);
  if (needs && 'kind' in needs) protocol.reject(exchange, needs);
  else if (needs) protocol.checkBody(exchange, decision, needs);
  else if (decision.kind === 'permit') send(parts, protocol, exchange, decision);
  // INVARIANT: a conditional decision has had its body read.
  else protocol.reject(exchange, INTERNAL_FAULT);
}

/** Answers with the denial. That of a limit waits where its caller goes on asking over it. */
function refuse<X extends Exchange>(parts: ExchangeParts, protocol: Protocol<X>, exchange: X, denial: Denial): void {
  const delay = denial.reached === undefined ? 0 : parts.refusals.refused(exchange);
  if (delay <= 0) {
    protocol.reject(exchange, denial);
    return;
  }
  leaveLimits(parts, exchange);
  refuseLater(parts, protocol, exchange, denial, { delay, why: 'over_limit' });
}

/** INVARIANT: what waits holds nothing of its body. @param delay milliseconds */
function refuseLater<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  denial: Denial,
  { delay, why }: { readonly delay: number; readonly why: Slowed },
): void {
  exchange.slowed = why;
  const answer = exchangeGuard(parts, protocol, exchange).entry(() => {
    if (!exchange.ended && exchange.refusal === undefined) protocol.reject(exchange, denial);
  });
  parts.refusals.hold(exchange, delay, answer);
  protocol.abandonBody(exchange);
}

function send<X extends Exchange>(parts: ExchangeParts, protocol: Protocol<X>, exchange: X, permit: Permit): void {
  // INVARIANT: nothing of a principal with a tenancy goes upstream that the tenancy has not judged.
  if (lacksTenant(exchange, permit)) {
    protocol.reject(exchange, INTERNAL_FAULT);
    return;
  }
  const again = stillStands(parts, exchange);
  if (again) {
    whenKnown(parts, protocol, exchange, again, (refused) => {
      if (refused) {
        exchange.decision = refused;
        protocol.reject(exchange, refused);
      } else send(parts, protocol, exchange, permit);
    });
    return;
  }
  exchange.forwardedAt = parts.now();
  protocol.forward(exchange, permit);
}

/** Continues an exchange that another transport has decided; no earlier step is repeated. */
export function resumeWith<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Permit | Conditional,
): void {
  try {
    carryOut(parts, protocol, exchange, decision);
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

/** An internal error denies (INVARIANT I5): the answer does not name the cause. */
function failClosed<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  error: unknown,
): void {
  exchangeGuard(parts, protocol, exchange).failed(error);
}

/** The guard under which an exchange continues after a wait. Created per wait: a synchronous exchange needs none. */
export function exchangeGuard<X extends Exchange>(parts: ExchangeParts, protocol: Protocol<X>, exchange: X): Guard {
  const owner = {
    fail: () => {
      if (exchange.ended) return;
      exchange.decision = INTERNAL_FAULT;
      protocol.reject(exchange, INTERNAL_FAULT);
    },
    cut: () => protocol.cut?.(exchange),
  };
  return new Guard(owner, 'exchange', (error) => parts.fault(error, exchange));
}

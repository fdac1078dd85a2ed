import type { CredentialMemo } from '../identity/credential-memo.ts';
import type { Principal } from '../identity/principal.ts';
import { Guard } from '../lifetime/guard.ts';
import type { Place } from '../lifetime/places.ts';
import type { CallCredit } from '../limits/abandoned-calls.ts';
import type { CredentialGuessing } from '../limits/credential-guessing.ts';
import { type BodyNeeds, type BodyRules, bodyNeeds } from '../policy/body-checks.ts';
import {
  askForNames,
  type Conditional,
  type Decision,
  decide,
  decidePublic,
  type Permit,
  permitInShadow,
  type References,
  settle,
  unfiltered,
} from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import type { Operation, Target } from '../policy/operation.ts';
import { decideWithin, firstRefusal, type Policy, type Shadowed, WHOLE_POLICY } from '../policy/rules.ts';

/**
 * One request and its response, whatever the protocol: the whole way of a request on one screen.
 *
 * ```
 * resolve -> admit -> authenticate -> [pace] -> decide -> [check body -> settle] -> forward | reject -> finish
 * ```
 *
 * Everything runs synchronously unless a credential or a body has to be waited for, so that the steady state costs no
 * promise. The steps that know a protocol are in `Protocol`; each lane supplies its own and nothing else differs.
 */

/** Step 4's answer. An unknown route is not a failure: it resolves to the table's unlisted row. */
export interface Resolution {
  readonly operation: Operation;
  readonly target: Target;
  /** The target cannot be carried safely (malformed escape, dot segment): refused once the caller is known. */
  readonly refusal?: Denial;
  /** The same, for what upstream looks at after the access: refused only where the access would permit. */
  readonly lateRefusal?: Denial;
}

/** The caller gave up too many calls, or its connection presented too many wrong credentials. */
export type Slowed = 'abandoned' | 'guesses';

/** The state of one request, filled step by step. Each protocol extends it with its own fields. */
export interface Exchange {
  readonly protocol: 'rest' | 'grpc';
  /** The request target, or `:path`, as it came. */
  readonly requestTarget: string;
  /** Name, value, name, value, in order, one character per byte, without pseudo-headers. */
  readonly headers: readonly string[];
  /** The client's address, from the socket. */
  readonly remote: string;
  /** The request has, or may have, a body. */
  readonly hasBody: boolean;
  /** Of its connection, where requests follow each other on one. */
  readonly memo?: CredentialMemo | undefined;
  /** Wrong credentials of its connection, where one request of it at a time is open. */
  readonly guesses?: CredentialGuessing | undefined;
  resolution: Resolution | undefined;
  principal: Principal | undefined;
  decision: Decision | undefined;
  /** The refusal sent to the client, also after a permit (upstream unreachable, body nested too deep). */
  refusal: Denial | undefined;
  /** The collections named in the body, once it has been inspected. */
  references: References | undefined;
  /** The denial that shadow mode suppressed. */
  shadowed: Shadowed | undefined;
  /** Why it had to wait before it was settled; `undefined` = it had not. */
  slowed: Slowed | undefined;
  /** The credit that the call used or waits for; set only where its caller has run out of credit. */
  callCredit: CallCredit | undefined;
  /** Created on first use by `requestIdOf`. */
  requestId: string | undefined;
  /** Headers that tell upstream of our span, in place of the client's; `undefined` = the client's pass. */
  trace: readonly string[] | undefined;
  /** Monotonic milliseconds: the head was there; it was sent upstream; the answer's head came. 0 = never. */
  startedAt: number;
  forwardedAt: number;
  answeredAt: number;
  /** It has been recorded: nothing more is done for it. Set by `finish` alone. */
  ended: boolean;
}

/** The initial values of an exchange. */
export function unbegun(): Pick<
  Exchange,
  | 'decision'
  | 'refusal'
  | 'references'
  | 'shadowed'
  | 'slowed'
  | 'callCredit'
  | 'requestId'
  | 'trace'
  | 'startedAt'
  | 'forwardedAt'
  | 'answeredAt'
  | 'ended'
> {
  return {
    decision: undefined,
    refusal: undefined,
    references: undefined,
    shadowed: undefined,
    slowed: undefined,
    callCredit: undefined,
    requestId: undefined,
    trace: undefined,
    startedAt: 0,
    forwardedAt: 0,
    answeredAt: 0,
    ended: false,
  };
}

/** The protocol's own steps. One value per lane, shared by all its exchanges. */
export interface Protocol<X extends Exchange> {
  /** Raw method and path to a table row. Never fails. */
  readonly resolve: (exchange: X) => Resolution;
  /**
   * Runs the checks that the body needs, reading it once; ends in one call of `bodyChecked`, or in none when the client has
   * left. A check it does not know denies. No byte goes upstream before, but for what `BodyNeeds` says of `depth`, and of a
   * message too large to hold (its end waits).
   */
  readonly checkBody: (exchange: X, decision: Permit | Conditional, needs: BodyNeeds) => void;
  /** Sends the request upstream and streams the answer back; filters it where `permit.visible` is set. Called once. */
  readonly forward: (exchange: X, permit: Permit) => void;
  /** Answers the request here. Nothing of it has gone upstream, and nothing will. */
  readonly reject: (exchange: X, denial: Denial) => void;
  /** The last resort when even `reject` throws: destroys the connection or stream it came on. By default nothing. */
  readonly cut?: (exchange: X) => void;
}

/** The end of the answer, for step 8. */
export interface Outcome {
  /** HTTP status, or gRPC code. `undefined` = the client left before there was one. */
  readonly status: number | undefined;
  /** Bytes of the request body and of the answer's body. */
  readonly received: number;
  readonly sent: number;
}

/** May a caller begin another call now? */
export interface Pace {
  /** If so, `wait` follows. */
  mustWait(exchange: Exchange): boolean;
  /** Calls `resume` when it is time; never, if the client leaves before. */
  wait(exchange: Exchange, resume: () => void): void;
}

/** The shared dependencies of both protocols, built by the composition root. */
export interface ExchangeParts {
  /** Steps 2 and 3. Synchronous once a token is known; never rejects for a bad credential, that is a `Denial`. */
  readonly authenticate: (
    rawHeaders: readonly string[],
    memo?: CredentialMemo,
  ) => Principal | Denial | Promise<Principal | Denial>;
  /** Which bodies are checked for what. */
  readonly bodyRules: BodyRules;
  /** The policy in force. Replaced as a whole by a reload, and looked at anew by every exchange. */
  readonly policy: { readonly current: Policy };
  /**
   * Checks that the audit can record this exchange, before its credential or body is read. A `Denial` refuses it; a promise
   * lets it wait.
   */
  readonly admit: (exchange: Exchange) => undefined | Denial | Promise<undefined | Denial>;
  /** Lets callers that gave up too many calls wait until it is their turn. */
  readonly pace: Pace;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Step 8. Called once for every exchange that got as far as `begin`, by `finish` alone. Must not throw. */
  readonly record: (exchange: Exchange, outcome: Outcome) => void;
  /**
   * An internal fault; the exchange is denied, or the whole connection ends where there is none. Counted by `place`, by
   * default `exchange`. Must not throw.
   */
  readonly fault: (error: unknown, exchange?: Exchange, place?: Place) => void;
}

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
  whenKnown(parts, protocol, exchange, parts.authenticate(exchange.headers, exchange.memo), (identity) =>
    identified(parts, protocol, exchange, identity),
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
 * Step 5b's end. The only way from a body that needs checks to `forward`.
 *
 * @param found the names in the body, why it is refused, or `undefined` = nothing against it, and no names were asked for
 */
export function bodyChecked<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Permit | Conditional,
  found: References | Denial | undefined,
): void {
  try {
    if (decision.kind === 'permit') {
      if (found && 'kind' in found) protocol.reject(exchange, found);
      else send(parts, protocol, exchange, decision);
      return;
    }
    const settled = settledBy(exchange, decision, found ?? INTERNAL_FAULT);
    const final = inForce(parts, exchange, settled);
    if (final.kind === 'permit') send(parts, protocol, exchange, final);
    else protocol.reject(exchange, final.kind === 'denial' ? final : INTERNAL_FAULT);
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

function settledBy(exchange: Exchange, conditional: Conditional, found: References | Denial): Permit | Denial {
  if ('kind' in found) return found;
  exchange.references = found;
  const decision = conditional.sure ?? settle(conditional, found);
  if (decision.kind === 'permit') noteShadow(exchange, conditional.operation, found);
  return decision;
}

/** Remembers what rules in shadow would have refused. */
function noteShadow(exchange: Exchange, operation: Operation, found: References | undefined): void {
  const rules = exchange.principal?.bounds?.shadow;
  const target = exchange.resolution?.target;
  if (rules && target) exchange.shadowed ??= firstRefusal(rules, operation, target, found);
}

/** Step 8: records the exchange once, however often it is called. Pending waits of the exchange are void from then on. */
export function finish(parts: ExchangeParts, exchange: Exchange, outcome: Outcome): void {
  if (exchange.ended) return;
  exchange.ended = true;
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

/** Delays the refusal of a wrong credential, the longer the more of them the connection has presented. */
function refuseStranger<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  denial: Denial,
): void {
  const wait = parts.policy.current.mode === 'enforce' ? exchange.guesses?.refused(parts.now()) : 0;
  if (!wait) {
    dispatch(parts, protocol, exchange, denial);
    return;
  }
  exchange.slowed = 'guesses';
  exchangeGuard(parts, protocol, exchange).after(wait, () => {
    if (!exchange.ended) dispatch(parts, protocol, exchange, denial);
  });
}

function decideOn<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  { access, bounds }: Principal,
): void {
  const { operation, target, refusal, lateRefusal } = exchange.resolution ?? unresolved();
  const decided =
    refusal ?? (bounds ? decideWithin(access, bounds, operation, target) : decide(access, operation, target));
  const decision = decided.kind === 'denial' ? decided : (lateRefusal ?? decided);
  if (bounds && decision.kind === 'permit') noteShadow(exchange, operation, undefined);
  dispatch(parts, protocol, exchange, decision);
}

function dispatch<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Decision,
): void {
  try {
    carryOut(parts, protocol, exchange, inForce(parts, exchange, decision));
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

/** Applies the policy's mode (`enforce`, `shadow`, `learn`) to the decision. */
function inForce(parts: ExchangeParts, exchange: Exchange, decision: Decision): Decision {
  const { mode } = parts.policy.current;
  const final = mode === 'enforce' ? enforced(exchange, decision) : inShadow(exchange, decision, mode);
  exchange.decision = final;
  return final;
}

function carryOut<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Decision,
): void {
  if (decision.kind === 'denial') {
    protocol.reject(exchange, decision);
    return;
  }
  const needs = bodyNeeds(decision, exchange, parts.bodyRules);
  if (needs && 'kind' in needs) protocol.reject(exchange, needs);
  else if (needs) protocol.checkBody(exchange, decision, needs);
  else if (decision.kind === 'permit') send(parts, protocol, exchange, decision);
  // INVARIANT: what depends on a body has been read.
  else protocol.reject(exchange, INTERNAL_FAULT);
}

function send<X extends Exchange>(parts: ExchangeParts, protocol: Protocol<X>, exchange: X, permit: Permit): void {
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

/** INVARIANT: what was let pass in shadow while its body was waited for is refused once the policy is enforced. */
function enforced(exchange: Exchange, decision: Decision): Decision {
  const { shadowed } = exchange;
  if (shadowed?.rule !== WHOLE_POLICY || decision.kind === 'denial') return decision;
  exchange.shadowed = undefined;
  return shadowed.denial;
}

/** A gateway whose whole policy is in shadow lets pass what it would refuse, and says so in `shadowed`. */
function inShadow(exchange: Exchange, decision: Decision, mode: 'shadow' | 'learn'): Decision {
  const { operation, target, refusal = exchange.resolution?.lateRefusal } = exchange.resolution ?? unresolved();
  // INVARIANT: what cannot be carried is refused, also to callers of whom no more is known than that.
  if (refusal) return refusal;
  let permit: Permit | undefined;
  if (decision.kind === 'permit') permit = unfiltered(decision);
  if (decision.kind === 'denial') permit = permitInShadow(operation, decision);
  if (!permit) return decision;
  if (decision.kind === 'denial') exchange.shadowed = { rule: WHOLE_POLICY, denial: decision };
  return mode === 'learn' && !exchange.references ? askForNames(permit, target) : permit;
}

/** An internal error denies (INVARIANT I5): the lane answers with a fault that says nothing of its cause. */
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

function unresolved(): never {
  throw new TypeError('an exchange was identified before it was resolved');
}

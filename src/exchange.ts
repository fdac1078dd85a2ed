import type { Principal } from './identity/principal.ts';
import {
  type Conditional,
  type Decision,
  decide,
  decidePublic,
  type Permit,
  type References,
  settle,
} from './policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from './policy/denial.ts';
import type { Operation, Target } from './policy/operation.ts';

/**
 * One request and its response, whatever the protocol: the whole way of a request on one screen.
 *
 * ```
 * resolve -> authenticate -> decide -> [inspect -> settle] -> forward | reject -> finish
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
}

/** What a lane keeps of one request. Filled step by step; lanes extend it with their own fields. */
export interface Exchange {
  readonly protocol: 'rest' | 'grpc';
  resolution: Resolution | undefined;
  principal: Principal | undefined;
  decision: Decision | undefined;
}

/** The protocol's own steps. One value per lane, shared by all its exchanges. */
export interface Protocol<X extends Exchange> {
  /** Raw method and path to a table row. Never fails. */
  readonly resolve: (exchange: X) => Resolution;
  /** The request's headers as they came: name, value, name, value, in order, one character per byte. */
  readonly rawHeaders: (exchange: X) => readonly string[];
  /** Reads the body for names; ends in exactly one call of `resume`. Until then no byte goes upstream. */
  readonly inspect: (exchange: X, conditional: Conditional) => void;
  /** Sends the request upstream and streams the answer back; filters it where `permit.visible` is set. */
  readonly forward: (exchange: X, permit: Permit) => void;
  /** Answers the request here. Nothing of it has gone upstream, and nothing will. */
  readonly reject: (exchange: X, denial: Denial) => void;
}

/** How the answer ended, for step 8. */
export interface Outcome {
  /** HTTP status, or gRPC code. `undefined` = the client left before there was one. */
  readonly status: number | undefined;
  /** Bytes of the request body and of the answer's body. */
  readonly received: number;
  readonly sent: number;
}

/** What the composition root hands to the lanes. */
export interface ExchangeParts {
  /** Steps 2 and 3. Synchronous once a token is known; never rejects for a bad credential, that is a `Denial`. */
  readonly authenticate: (rawHeaders: readonly string[]) => Principal | Denial | Promise<Principal | Denial>;
  /** Step 8. Called once for every exchange that got as far as `begin`. Must not throw. */
  readonly record: (exchange: Exchange, outcome: Outcome) => void;
  /** A fault of ours; the exchange is denied, or the whole connection ends where there is none. Must not throw. */
  readonly fault: (error: unknown, exchange?: Exchange) => void;
}

/** Steps 2 to 6 for a request whose head has arrived. */
export function begin<X extends Exchange>(parts: ExchangeParts, protocol: Protocol<X>, exchange: X): void {
  try {
    const resolution = protocol.resolve(exchange);
    exchange.resolution = resolution;
    const open = decidePublic(resolution.operation);
    if (open) {
      dispatch(parts, protocol, exchange, resolution.refusal ?? open);
      return;
    }
    const identity = parts.authenticate(protocol.rawHeaders(exchange));
    if (identity instanceof Promise) {
      identity.then(
        (known) => identified(parts, protocol, exchange, known),
        (error: unknown) => failClosed(parts, protocol, exchange, error),
      );
    } else {
      identified(parts, protocol, exchange, identity);
    }
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

/** Step 5b's end: what the body names, or why it cannot be judged. */
export function resume<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  conditional: Conditional,
  found: References | Denial,
): void {
  dispatch(parts, protocol, exchange, 'kind' in found ? found : settle(conditional, found));
}

/** Step 8. */
export function finish(parts: ExchangeParts, exchange: Exchange, outcome: Outcome): void {
  parts.record(exchange, outcome);
}

function identified<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  identity: Principal | Denial,
): void {
  if (identity.kind === 'denial') {
    dispatch(parts, protocol, exchange, identity);
    return;
  }
  exchange.principal = identity;
  const { operation, target, refusal } = exchange.resolution ?? unresolved();
  dispatch(parts, protocol, exchange, refusal ?? decide(identity.access, operation, target));
}

function dispatch<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  decision: Decision,
): void {
  exchange.decision = decision;
  try {
    switch (decision.kind) {
      case 'permit':
        protocol.forward(exchange, decision);
        break;
      case 'conditional':
        protocol.inspect(exchange, decision);
        break;
      case 'denial':
        protocol.reject(exchange, decision);
        break;
      default:
        decision satisfies never;
    }
  } catch (error) {
    failClosed(parts, protocol, exchange, error);
  }
}

/** An internal error denies (INVARIANT I5): the lane answers with a fault that says nothing of its cause. */
function failClosed<X extends Exchange>(
  parts: ExchangeParts,
  protocol: Protocol<X>,
  exchange: X,
  error: unknown,
): void {
  parts.fault(error, exchange);
  exchange.decision = INTERNAL_FAULT;
  protocol.reject(exchange, INTERNAL_FAULT);
}

function unresolved(): never {
  throw new TypeError('an exchange was identified before it was resolved');
}

import type { CredentialMemo } from '../identity/credential-memo.ts';
import type { Principal } from '../identity/principal.ts';
import type { Place } from '../lifetime/places.ts';
import type { CallCredit } from '../limits/abandoned-calls.ts';
import type { CredentialGuessing } from '../limits/credential-guessing.ts';
import type { BodyNeeds, BodyRules } from '../policy/body-checks.ts';
import type { Conditional, Decision, Permit, References } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Operation, Target } from '../policy/operation.ts';
import type { Policy, Shadowed } from '../policy/rules.ts';

/* One request and its response, whatever the protocol: its state, and the interfaces of the steps in `steps.ts`. */

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

import type { PresentedCertificate } from '../identity/certificates/presented.ts';
import type { CredentialMemo } from '../identity/credential-memo.ts';
import type { Principal } from '../identity/principal.ts';
import type { Place } from '../lifetime/places.ts';
import type { Standing } from '../lifetime/standing.ts';
import type { CallCredit } from '../limits/abandoned-calls.ts';
import type { Creations } from '../limits/creations.ts';
import type { CredentialGuessing } from '../limits/credential-guessing.ts';
import type { RefusalPacing, RefusalSlots } from '../limits/refusal-pacing.ts';
import type { LimitHold, RequestLimits } from '../limits/request-limits.ts';
import type { BodyNeeds, BodyRules } from '../policy/body-checks.ts';
import type { Conditional, Decision, Permit, References } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Operation, Target } from '../policy/operation.ts';
import type { Policy, Shadowed } from '../policy/rules.ts';
import type { Facts } from '../policy/search/facts.ts';

/* One request and its response, for both protocols: its state, and the interfaces of the steps in `steps.ts`. */

/** Result of step 4. An unknown route is not a failure: it resolves to the unlisted row of the table. */
export interface Resolution {
  readonly operation: Operation;
  readonly target: Target;
  /** Set if the target is malformed (escape, dot segment): refused once the caller is known. */
  readonly refusal?: Denial;
  /** Set for faults that upstream checks after the access: refused only if the access permits the request. */
  readonly lateRefusal?: Denial;
  /** Set if the target has a name that upstream may take for a way out of a folder: refused if its release does. */
  readonly dotName?: string;
}

/**
 * - `abandoned`: the caller cancelled too many calls
 * - `guesses`: its connection or client presented too many wrong credentials
 * - `over_limit`: the caller goes on asking over a limit of the policy
 */
export type Slowed = 'abandoned' | 'guesses' | 'over_limit';

/** The state of one request, filled step by step. Each protocol extends it with its own fields. */
export interface Exchange {
  readonly protocol: 'rest' | 'grpc';
  /** The request target, or `:path`, as received. */
  readonly requestTarget: string;
  /** Name, value, name, value, in order, one character per byte, without pseudo-headers. */
  readonly headers: readonly string[];
  /** The client's address: from the socket, or from a trusted proxy. */
  readonly remote: string;
  /** The client certificate of its connection, if the listener asks for one as an identity. */
  readonly certificate?: PresentedCertificate | undefined;
  /** True = the request has, or may have, a body. */
  readonly hasBody: boolean;
  /** Bytes of the body that have come. */
  received: number;
  /** Whether a credential on its connection was good; `undefined` = nothing asks. */
  readonly standing?: Standing | undefined;
  /** The memo of its connection, if requests of one connection follow each other. */
  readonly memo?: CredentialMemo | undefined;
  /** Wrong credentials of its connection or client. */
  readonly guesses?: CredentialGuessing | undefined;
  /** The refusals that wait on its connection, if the connection has several open requests at a time. */
  readonly refusalSlots?: RefusalSlots | undefined;
  /** Milliseconds after which its client gives up, if it says so. */
  readonly patienceMs?: number | undefined;
  resolution: Resolution | undefined;
  principal: Principal | undefined;
  /** The keys and policy by which the principal was identified; `undefined` = it is not known yet. */
  identifiedBy: object | undefined;
  /** Monotonic milliseconds of that. */
  identifiedAt: number;
  decision: Decision | undefined;
  /** The refusal sent to the client, also after a permit (upstream unreachable, body nested too deep). */
  refusal: Denial | undefined;
  /** The collections named in the body, once it has been inspected. */
  references: References | undefined;
  /** The denial that shadow mode suppressed. */
  shadowed: Shadowed | undefined;
  /** The guard rail that refused it, by id. */
  rail: string | undefined;
  /** The guard rail that its break-glass key passed, by id. */
  passedRail: string | undefined;
  /** True = upstream refused the caller's own credential. Only known if that is forwarded (`gateway.upstream.compare`). */
  refusedThere: boolean;
  /** The reason why its decision or its refusal was delayed; `undefined` = it was not. */
  slowed: Slowed | undefined;
  /** The credit that the call uses or waits for; set only if its caller has run out of credit. */
  callCredit: CallCredit | undefined;
  /** True = its body is read for its numbers, on which limits or bounds depend. */
  wantsFacts: boolean;
  /** True = it is sent once its body is there whole, since a limit counts the length. */
  wantsWhole: boolean;
  /** Its numbers, once they are known. */
  facts: Facts | undefined;
  /** Its places and bytes on the limits of the policy; set once it has been counted, and only if there are limits. */
  limitHold: LimitHold | undefined;
  /** Created on first use by `requestIdOf`. */
  requestId: string | undefined;
  /**
   * Headers with the gateway's span for upstream, instead of the client's; `undefined` = the client's are forwarded.
   */
  trace: readonly string[] | undefined;
  /** Monotonic milliseconds of the received head, of sending it upstream, and of the answer's head. 0 = never. */
  startedAt: number;
  forwardedAt: number;
  answeredAt: number;
  /** True = recorded and finished. Set by `finish` only. */
  ended: boolean;
}

/** The initial values of an exchange. */
export function unbegun(): Pick<
  Exchange,
  | 'identifiedBy'
  | 'identifiedAt'
  | 'decision'
  | 'refusal'
  | 'references'
  | 'shadowed'
  | 'rail'
  | 'passedRail'
  | 'refusedThere'
  | 'slowed'
  | 'callCredit'
  | 'received'
  | 'wantsFacts'
  | 'wantsWhole'
  | 'facts'
  | 'limitHold'
  | 'requestId'
  | 'trace'
  | 'startedAt'
  | 'forwardedAt'
  | 'answeredAt'
  | 'ended'
> {
  return {
    identifiedBy: undefined,
    identifiedAt: 0,
    decision: undefined,
    refusal: undefined,
    references: undefined,
    shadowed: undefined,
    rail: undefined,
    passedRail: undefined,
    refusedThere: false,
    slowed: undefined,
    callCredit: undefined,
    received: 0,
    wantsFacts: false,
    wantsWhole: false,
    facts: undefined,
    limitHold: undefined,
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
  /** Maps the raw method and path to a row of the table. Never fails. */
  readonly resolve: (exchange: X) => Resolution;
  /**
   * Runs the required checks on the body, reading it once. Ends in one call of `bodyChecked`, or in none if the client
   * has left. Denies a check it does not know. No byte goes upstream before, with two exceptions: a body that only
   * needs `depth` (see `BodyNeeds`), and a message too large to hold; in both cases the end waits.
   */
  readonly checkBody: (exchange: X, decision: Permit | Conditional, needs: BodyNeeds) => void;
  /**
   * True = a page of another origin may have made its browser send the request, which adds a client certificate by itself. Asked
   * only of requests whose sole credential is a certificate.
   */
  readonly isCrossSite: (exchange: X) => boolean;
  /** Sends the request upstream and streams the answer back, filtered if `permit.visible` is set. Called once. */
  readonly forward: (exchange: X, permit: Permit) => void;
  /** Answers the request with the denial. Nothing of it has gone upstream, and nothing will. */
  readonly reject: (exchange: X, denial: Denial) => void;
  /**
   * A refusal will follow, later: what came of the body is let go, and what still comes is thrown away or not read. Over HTTP/2 its
   * credit goes back, so that other streams of the connection do not wait.
   */
  readonly abandonBody: (exchange: X) => void;
  /** The last resort if even `reject` throws: destroys the connection or stream. Default: nothing. */
  readonly cut?: (exchange: X) => void;
}

/** The end of the answer, for step 8. */
export interface Outcome {
  /** HTTP status, or gRPC code. `undefined` = the client left before the answer began. */
  readonly status: number | undefined;
  /** Body sizes of request and answer, in bytes. */
  received: number;
  readonly sent: number;
}

/** Delays calls of callers that cancelled too many. */
export interface Pace {
  /** True = the call must wait, and `wait` follows. */
  mustWait(exchange: Exchange): boolean;
  /** Calls `resume` when the call may continue; never if the client leaves before. */
  wait(exchange: Exchange, resume: () => void): void;
}

/** The shared dependencies of both protocols, built by the composition root. */
export interface ExchangeParts {
  /** Steps 2 and 3. Synchronous for keys and cached tokens. A bad credential is a `Denial`, not a rejection. */
  readonly authenticate: (
    rawHeaders: readonly string[],
    memo?: CredentialMemo,
    remote?: string,
    certificate?: PresentedCertificate,
  ) => Principal | Denial | Promise<Principal | Denial>;
  /** The keys and the policy that `authenticate` goes by: another object after each change. */
  readonly identifying: () => object;
  /** Settings that decide which bodies are checked. */
  readonly bodyRules: BodyRules;
  /** The policy in force. A reload replaces it as a whole; every exchange reads it. */
  readonly policy: { readonly current: Policy };
  /**
   * Checks that the audit can record this exchange, before its credential or body is read. A `Denial` refuses it; a
   * promise delays it.
   */
  readonly admit: (exchange: Exchange) => undefined | Denial | Promise<undefined | Denial>;
  /** Delays callers that cancelled too many calls. */
  readonly pace: Pace;
  /** Counts permitted requests, where the policy has limits. */
  readonly limits: Pick<
    RequestLimits,
    'asksForCollection' | 'asksForCost' | 'asksForLength' | 'early' | 'take' | 'end'
  >;
  /** Delays refusals of callers that go on asking over a limit. */
  readonly refusals: Pick<RefusalPacing, 'refused' | 'guessed' | 'hold' | 'ended'>;
  /** Counts collections, where a grant limits their number. */
  readonly creations: Pick<Creations, 'current' | 'begin' | 'end'> & {
    readonly existing: () => ReturnType<Creations['existing']> | readonly string[] | undefined;
  };
  /** Set = a creation that is refused is told that the collection exists, if the caller may write it. */
  readonly createExisting?: true;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Step 8. Called once for every exchange that reached `begin`, by `finish` only. Must not throw. */
  readonly record: (exchange: Exchange, outcome: Outcome) => void;
  /**
   * An internal error. The exchange is denied; without one the whole connection ends. Counted by `place`, default
   * `exchange`. Must not throw.
   */
  readonly fault: (error: unknown, exchange?: Exchange, place?: Place) => void;
}

import type { Exchange, Slowed } from '../exchange/exchange.ts';
import type { PresentedCertificate } from '../identity/certificates/presented.ts';
import type { CredentialMemo } from '../identity/credential-memo.ts';
import type { Principal } from '../identity/principal.ts';
import type { Standing } from '../lifetime/standing.ts';
import type { CallCredit } from '../limits/abandoned-calls.ts';
import type { CredentialGuessing } from '../limits/credential-guessing.ts';
import type { RefusalSlots } from '../limits/refusal-pacing.ts';
import type { LimitHold } from '../limits/request-limits.ts';
import { type ClientAddress, clientOf, guessesFor } from '../net/client-address.ts';
import type { BodyNeeds } from '../policy/body-checks.ts';
import type { Conditional, Decision, Permit, References } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Shadowed } from '../policy/rules.ts';
import type { Facts } from '../policy/search/facts.ts';
import { grpcTimeoutOf } from './call-timeout.ts';
import type { RequestHead } from './headers/request-head.ts';
import type { MessageInspector } from './message/inspect.ts';
import { HeldFrames } from './relay/held-frames.ts';
import type { GrpcResolution } from './resolve.ts';

/** The protocol's steps, implemented by the connection of an exchange. */
export interface GrpcSteps {
  /** The client of the connection. */
  readonly peer: ClientAddress;
  readonly memo: CredentialMemo;
  /** The client certificate of the connection, if the listener asks for one as an identity. */
  readonly certificate: PresentedCertificate | undefined;
  checkBody(exchange: GrpcExchange, decision: Permit | Conditional, needs: BodyNeeds): void;
  forward(exchange: GrpcExchange, permit: Permit): void;
  reject(exchange: GrpcExchange, denial: Denial): void;
  /** Lets the messages of a call go whose refusal will follow; see `Protocol.abandonBody`. */
  abandonBody(exchange: GrpcExchange): void;
  readonly refusalSlots: RefusalSlots;
  readonly standing: Standing;
}

/**
 * - `waiting`: for the identity; DATA is held
 * - `inspecting`: the message is being checked; DATA is held, or sent on beyond a limit
 * - `collecting`: the message is held whole, to be made anew
 * - `relayed`: frames pass verbatim
 * - `local`: the gateway answers; DATA is discarded
 */
export type StreamState = 'waiting' | 'inspecting' | 'collecting' | 'relayed' | 'local';

/** One gRPC call: a stream of a client connection and, once permitted, a stream of the upstream connection. */
export class GrpcExchange implements Exchange {
  readonly protocol = 'grpc';
  readonly hasBody = true;
  resolution: GrpcResolution | undefined;
  principal: Principal | undefined;
  identifiedBy: object | undefined;
  identifiedAt = 0;
  decision: Decision | undefined;
  refusal: Denial | undefined;
  references: References | undefined;
  shadowed: Shadowed | undefined;
  rail: string | undefined;
  passedRail: string | undefined;
  refusedThere = false;
  slowed: Slowed | undefined;
  callCredit: CallCredit | undefined;
  wantsFacts = false;
  wantsWhole = false;
  facts: Facts | undefined;
  limitHold: LimitHold | undefined;
  requestId: string | undefined;
  trace: readonly string[] | undefined;
  startedAt = 0;
  forwardedAt = 0;
  answeredAt = 0;
  ended = false;
  readonly headers: readonly string[];
  readonly remote: string;
  readonly memo: CredentialMemo;
  readonly certificate: PresentedCertificate | undefined;

  /** Stream id on the client connection. */
  readonly id: number;
  readonly head: RequestHead;
  /** The share of the head in the `HeadBudget` of its connection. */
  headBytes = 0;
  readonly steps: GrpcSteps;
  state: StreamState = 'waiting';
  /** Stream id on the upstream connection; 0 = none yet, or one of several nodes has it. */
  upstreamId = 0;
  /** True = given to upstream (`UpstreamSide.open`), and not cancelled there. */
  opened = false;

  /** DATA that may not go upstream yet: the call is undecided, or the end of its message is held back. */
  readonly held = new HeldFrames();
  /**
   * Bytes of DATA that are held before the message has been checked. Beyond it the call streams, except for its end.
   */
  holdLimit = 0;
  inspector: MessageInspector | undefined;
  conditional: Conditional | undefined;
  /** True = the message must be inspected or measured, and none of it has arrived yet. */
  unread = false;
  unmeasured = false;
  /**
   * Measures a call that needs no inspection: one message within the nesting limit. It reads the bytes that are sent
   * on.
   */
  guard: MessageInspector | undefined;
  /** Bytes of DATA of a `collecting` call whose credit the connection of the client has not got back. */
  owedCredit = 0;
  /** True = the DATA for upstream was made by the gateway. It is whole, and the client has ended its side. */
  isRemade = false;
  /** Reads the names of a message for the audit only; the decision does not depend on them. */
  follower: MessageInspector | undefined;
  /** True = `.` and `..` are refused as names in the message. */
  refusesDotNames = false;
  /** True = the messages are measured for nesting while they pass; none of them was read before. */
  measures = false;

  /** True = permitted, and sent upstream when the client's burst has been read. */
  opensWithBurst = false;
  /** True = the client has ended its side. */
  clientEnded = false;
  /** True = the head, or the end, of the answer has been sent to the client. */
  headersSent = false;
  answered = false;
  /** DATA (bytes) that the `content-length` of the answer announces and that has not arrived; -1 = no `content-length`. */
  announced = -1;
  /** Number of heads with a 1xx status from upstream. */
  interimHeads = 0;
  /** Stream window (bytes) that the client has granted beyond the initial one, less the DATA sent to it. */
  windowGain = 0;
  /** Stream window (bytes) that upstream has granted beyond the initial one. */
  upstreamGrants = 0;
  /** Aborts the upstream request of a local answer. */
  asking: AbortController | undefined;
  /** The unsent rest of a local answer. */
  outgoing: Buffer | undefined;
  /** The collection of the decision, if the message named it. */
  target: string | undefined;
  /** gRPC code of the answer. Of upstream's answers only if answers are read (`GrpcRelayOptions.readAnswers`). */
  status: number | undefined;

  /** Body bytes from the client, the same with padding (as flow control counts), and body bytes to the client. */
  received = 0;
  flowBytes = 0;
  sent = 0;
  /** Clock reading (milliseconds) and bytes of an incomplete message at the last look at its pace; `undefined` = there was none. */
  pace: { readonly since: number; readonly received: number } | undefined;
  /** Clock readings in milliseconds: of the call's head, and of the last frame in either direction. */
  readonly begunAt: number;
  activeAt: number;

  constructor(id: number, head: RequestHead, steps: GrpcSteps, now: number) {
    this.id = id;
    this.head = head;
    this.headers = head.rawHeaders;
    this.remote = clientOf(steps.peer, head.rawHeaders);
    this.memo = steps.memo;
    this.certificate = steps.certificate;
    this.steps = steps;
    this.begunAt = now;
    this.activeAt = now;
  }

  get standing(): Standing {
    return this.steps.standing;
  }

  get refusalSlots(): RefusalSlots {
    return this.steps.refusalSlots;
  }

  get guesses(): CredentialGuessing {
    return guessesFor(this.steps.peer, this.remote, this.refusalSlots.guesses);
  }

  get patienceMs(): number | undefined {
    return grpcTimeoutOf(this.headers);
  }

  get requestTarget(): string {
    return this.head.path;
  }

  /** Stops reading the call's messages. */
  stopReading(): void {
    this.inspector?.stop();
    this.guard?.stop();
    this.follower?.stop();
    this.follower = undefined;
    this.unread = false;
    this.unmeasured = false;
    this.inspector = undefined;
    this.guard = undefined;
  }
}

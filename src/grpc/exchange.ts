import type { Exchange, Slowed } from '../exchange/exchange.ts';
import type { CredentialMemo } from '../identity/credential-memo.ts';
import type { Principal } from '../identity/principal.ts';
import type { CallCredit } from '../limits/abandoned-calls.ts';
import type { BodyNeeds } from '../policy/body-checks.ts';
import type { Conditional, Decision, Permit, References } from '../policy/decide.ts';
import type { Denial } from '../policy/denial.ts';
import type { Shadowed } from '../policy/rules.ts';
import type { RequestHead } from './headers/request-head.ts';
import type { MessageInspector } from './message/inspect.ts';
import { HeldFrames } from './relay/held-frames.ts';
import type { GrpcResolution } from './resolve.ts';

/** The protocol's steps, carried out by the connection an exchange came on. */
export interface GrpcSteps {
  /** The client's address. */
  readonly peer: string;
  readonly memo: CredentialMemo;
  checkBody(exchange: GrpcExchange, decision: Permit | Conditional, needs: BodyNeeds): void;
  forward(exchange: GrpcExchange, permit: Permit): void;
  reject(exchange: GrpcExchange, denial: Denial): void;
}

/**
 * - `waiting`: for the identity; DATA is held
 * - `inspecting`: DATA is held, or past a bound sent on, until the message has been judged
 * - `relayed`: frames pass verbatim
 * - `local`: the gateway answers itself; DATA is swallowed
 */
export type StreamState = 'waiting' | 'inspecting' | 'relayed' | 'local';

/** One gRPC call: a stream of a client connection and, once permitted, its stream on the upstream connection. */
export class GrpcExchange implements Exchange {
  readonly protocol = 'grpc';
  readonly hasBody = true;
  resolution: GrpcResolution | undefined;
  principal: Principal | undefined;
  decision: Decision | undefined;
  refusal: Denial | undefined;
  references: References | undefined;
  shadowed: Shadowed | undefined;
  slowed: Slowed | undefined;
  callCredit: CallCredit | undefined;
  requestId: string | undefined;
  trace: readonly string[] | undefined;
  startedAt = 0;
  forwardedAt = 0;
  answeredAt = 0;
  ended = false;
  readonly headers: readonly string[];
  readonly remote: string;
  readonly memo: CredentialMemo;

  /** Stream id on the client's connection. */
  readonly id: number;
  readonly head: RequestHead;
  readonly steps: GrpcSteps;
  state: StreamState = 'waiting';
  /** Stream id on the upstream connection; 0 = none yet. */
  upstreamId = 0;

  /** DATA that may not go upstream yet: the call is not settled, or the end of its message is held back. */
  readonly held = new HeldFrames();
  /** DATA (bytes) that is held before the message has been judged; past it the call streams, all but its end. */
  holdLimit = 0;
  inspector: MessageInspector | undefined;
  conditional: Conditional | undefined;
  /** Nothing of a message that has to be read for names, or measured, has come yet. */
  unread = false;
  unmeasured = false;
  /** Measures a call that needs no inspection: one message, nested no deeper than allowed. It reads what is sent on. */
  guard: MessageInspector | undefined;
  /** Reads a message that nothing has to be known of, only so that the audit can say what it names. */
  follower: MessageInspector | undefined;
  /** Its messages are measured for nesting while they pass; nothing was read of them before. */
  measures = false;

  /** It is permitted and goes upstream when the client's burst has been read. */
  opensWithBurst = false;
  /** The client has ended its side. */
  clientEnded = false;
  /** The answer's head, and its end, have gone to the client. */
  headersSent = false;
  answered = false;
  /** Heads with a status of 1xx that upstream has sent. */
  interimHeads = 0;
  /** Stream window (bytes) the client has given beyond its initial one, less the DATA it was sent. */
  windowGain = 0;
  /** Stream window (bytes) upstream has given beyond its initial one. */
  upstreamGrants = 0;
  /** Gives up what upstream was asked for an answer of the gateway's own. */
  asking: AbortController | undefined;
  /** What the gateway still has to send of an answer of its own. */
  outgoing: Buffer | undefined;
  /** The collection the decision was made on, where the message named it. */
  target: string | undefined;
  /** gRPC code of the answer; of one of upstream's only where answers are read (`GrpcRelayOptions.readAnswers`). */
  status: number | undefined;

  /** Body bytes from the client, the same with padding (what flow control counts), and body bytes to it. */
  received = 0;
  flowBytes = 0;
  sent = 0;
  /** Clock readings (ms): of the call's head, and of the last frame in either direction. */
  readonly begunAt: number;
  activeAt: number;

  constructor(id: number, head: RequestHead, steps: GrpcSteps, now: number) {
    this.id = id;
    this.head = head;
    this.headers = head.rawHeaders;
    this.remote = steps.peer;
    this.memo = steps.memo;
    this.steps = steps;
    this.begunAt = now;
    this.activeAt = now;
  }

  get requestTarget(): string {
    return this.head.path;
  }

  /** Reads no more of the call's messages. */
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

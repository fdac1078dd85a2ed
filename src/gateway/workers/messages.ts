import type { AdminAct } from '../../audit/act.ts';
import type { State } from '../../config/state.ts';
import type { ConsoleAnswer, ConsoleRequest } from '../../exchange/console-request.ts';
import type { Revocations } from '../../identity/revocations.ts';
import type { LeaseAnswer, LeaseAsk, LeaseTurn } from '../../limits/leases.ts';
import type { GatewaySnapshot, SnapshotDetail } from '../../observability/snapshot.ts';
import type { KeySetInForce } from '../../policy/mapping/issuer.ts';
import type { NamedKeysInForce } from '../../policy/named-key.ts';
import type { ValidationCertificate } from '../../rest/tls/validation-tls.ts';
import type { TokenAnswer } from '../../token-endpoint/answers.ts';
import type { TokenRequest } from '../../token-endpoint/endpoint.ts';
import type { Applied, Listening } from '../gateway.ts';
import type { ConsoleTokenRequest } from './console-token.ts';
import type { IdentifiedCaller } from './identify-caller.ts';
import type { NamedKeysChange } from './named-keys-change.ts';

/** Calls to a worker, one at a time, with their results. Structured-cloned: sets, maps and buffers keep their type. */
export interface WorkerCalls {
  /**
   * `index`: number of the worker; a replacement has the same index. `holders`: processes that share limits; `undefined` = this one
   * counts alone.
   */
  start: { given: InForce & { index: number; holders: number | undefined } & Beside; answer: Listeners };
  apply: { given: InForce; answer: Applied };
  revocations: { given: Revocations; answer: null };
  drain: { given: readonly string[]; answer: null };
  namedKeys: { given: NamedKeysChange; answer: null };
  keySets: { given: readonly KeySetInForce[]; answer: null };
  validations: { given: readonly ValidationCertificate[]; answer: null };
  /** 48 bytes. */
  ticketKeys: { given: Buffer; answer: null };
  snapshot: { given: readonly SnapshotDetail[]; answer: GatewaySnapshot };
  act: { given: AdminAct; answer: null };
  token: { given: TokenRequest; answer: TokenAnswer };
  identify: { given: { readonly credential: string; readonly remote: string }; answer: IdentifiedCaller };
  consoleToken: { given: ConsoleTokenRequest; answer: string | undefined };
  depart: { given: null; answer: null };
  stop: { given: number; answer: null };
}

/** A state, with its number in all workers. */
export interface InForce {
  readonly state: State;
  readonly generation: number;
}

/** Revocations, drained nodes, named keys of Redis, fetched keys and proofs of names, which are no part of a state. */
export interface Beside {
  readonly revocations: Revocations | undefined;
  /** Names of the drained nodes. */
  readonly drained: readonly string[];
  /** `undefined` = not read yet, or not kept there. */
  readonly namedKeys: NamedKeysInForce | undefined;
  /** Fetched key sets of issuers. */
  readonly keySets: readonly KeySetInForce[];
  /** Certificates for validators of the certificate authority. */
  readonly validations: readonly ValidationCertificate[];
}

/** Addresses of the listeners. */
export interface Listeners {
  readonly rest: Listening;
  readonly grpc: Listening | null;
}

export type WorkerCall = keyof WorkerCalls;

/** From the supervisor. The answer carries the same `id`. */
export interface Call<C extends WorkerCall = WorkerCall> {
  readonly id: number;
  readonly call: C;
  readonly given: WorkerCalls[C]['given'];
}

/** From the worker. */
export type Answer =
  | { readonly id: number; readonly ok: true; readonly answer: unknown }
  | { readonly id: number; readonly ok: false; readonly fault: Fault };

/** From a worker that counts limits with others, beside the calls. */
export interface LeaseCall {
  readonly lease: number;
  readonly asks: readonly LeaseAsk[];
  readonly turn: LeaseTurn | undefined;
}

/** To the worker, with the same number; `undefined` = the common buckets cannot be reached. */
export interface LeaseReply {
  readonly lease: number;
  readonly answer: LeaseAnswer | undefined;
}

/** From a worker that needs fresh keys of an issuer, beside the calls. */
export interface KeysCall {
  readonly keys: number;
  readonly issuer: string;
}

/** To the worker, with the same number, once the keys have been sent or cannot be had. */
export interface KeysReply {
  readonly keys: number;
}

/** From a worker whose REST port was asked for the console, beside the calls. */
export interface ConsoleCall {
  readonly page: number;
  readonly request: ConsoleRequest;
}

/** To the worker, with the same number. */
export interface ConsoleReply {
  readonly page: number;
  readonly answer: ConsoleAnswer;
}

/** An error in a form that crosses processes. */
export interface Fault {
  readonly message: string;
  readonly code: string | undefined;
  readonly port: number | undefined;
  readonly problems: readonly { readonly place: string; readonly message: string }[] | undefined;
}

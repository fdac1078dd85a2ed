import type { AdminAct } from '../audit/act.ts';
import type { State } from '../config/state.ts';
import type { Revocations } from '../identity/revocations.ts';
import type { GatewaySnapshot, SnapshotDetail } from '../observability/snapshot.ts';
import type { KeySetInForce } from '../policy/mapping/issuer.ts';
import type { NamedKeysInForce } from '../policy/named-key.ts';
import type { ValidationCertificate } from '../rest/tls/validation-tls.ts';
import type { TokenAnswer } from '../token-endpoint/answers.ts';
import type { TokenRequest } from '../token-endpoint/endpoint.ts';
import type { Applied, Listening } from './gateway.ts';
import type { ConsoleTokenRequest } from './workers/console-token.ts';
import type { IdentifiedCaller } from './workers/identify-caller.ts';

/** The serving side: one gateway in this process, or one in each of several workers. */
export interface Fleet {
  /** Rejects, and serves nothing, if a port is not available. */
  start(): Promise<{ readonly rest: Listening; readonly grpc: Listening | null }>;
  /** All or nothing, for every process. Rejects with `ConfigError`. */
  apply(state: State): Promise<Applied>;
  setRevocations(revocations: Revocations): Promise<void>;
  /** The nodes that are out from now on, in every process. @param names all of them */
  drainNodes(names: readonly string[]): Promise<void>;
  /** Replaces the named keys of Redis. */
  setNamedKeys(keys: NamedKeysInForce): Promise<void>;
  /** Replaces the fetched key sets of issuers. @param sets all of them */
  setKeySets(sets: readonly KeySetInForce[]): Promise<void>;
  /** Shows these certificates to validators of the certificate authority (RFC 8737). @param validations all of them */
  setValidations(validations: readonly ValidationCertificate[]): Promise<void>;
  /** Replaces the keys of TLS session tickets, in all processes at once. Never rejects. */
  renewTicketKeys(): Promise<void>;
  /** One per serving process. @param details optional parts of the snapshots */
  snapshots(details?: readonly SnapshotDetail[]): Promise<readonly GatewaySnapshot[]>;
  /** Records an administrative action once, if there is an audit log. */
  act(act: AdminAct): Promise<void>;
  /** Exchanges a credential for a token, in one of the processes. Rejects if it does not answer. */
  exchangeToken(request: TokenRequest): Promise<TokenAnswer>;
  /** Identifies a credential, in one of the processes. Rejects if it does not answer. @param remote the client's address */
  identify(credential: string, remote: string): Promise<IdentifiedCaller>;
  /** A token for a session of the console, from one of the processes. Rejects if it does not answer. */
  consoleToken(request: ConsoleTokenRequest): Promise<string | undefined>;
  /** Asks the clients of every process to move; `stop` follows. */
  depart(): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

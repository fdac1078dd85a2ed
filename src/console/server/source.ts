import type { AdminAct } from '../../audit/act.ts';
import type { State } from '../../config/state.ts';
import type { IdentifiedCaller } from '../../gateway/workers/identify-caller.ts';
import type { KeyChanged, KeyRequest } from '../../named-keys/store.ts';
import type { Facts } from '../../observability/facts.ts';
import type { MetricsPage } from '../../observability/metrics/page.ts';
import type { NodeDrained } from '../../observability/operator.ts';
import type { GatewaySnapshot, SnapshotDetail } from '../../observability/snapshot.ts';
import type { Lifted, RevocationReport, Revoked } from '../../revocation/report.ts';
import type { TokenAnswer } from '../../token-endpoint/answers.ts';
import type { TokenRequest } from '../../token-endpoint/endpoint.ts';

/** The parts of the gateway that no counter tells. */
export interface GatewayParts {
  readonly mode: string;
  readonly draining: boolean;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly listeners: readonly { readonly protocol: 'rest' | 'grpc'; readonly port: number; readonly tls: boolean }[];
}

/** The running gateway, as the console sees and changes it: what the admin port has, and no more. */
export interface ConsoleSource {
  /** The state in force. INVARIANT: nothing of its secrets is answered. */
  readonly state: () => State;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Counters and states of this moment. */
  readonly facts: () => Promise<Facts>;
  readonly parts: () => GatewayParts;
  readonly status: () => Promise<object>;
  readonly metrics: (format: 'prometheus' | 'openmetrics') => Promise<MetricsPage>;
  readonly principals: () => Promise<object>;
  readonly connections: () => Promise<object>;
  readonly keys: () => Promise<object>;
  /** One named key; a text if none has this id. */
  readonly key: (id: string) => Promise<object | string>;
  readonly nodes: () => Promise<object>;
  readonly revocations: () => RevocationReport;
  readonly snapshots: (details?: readonly SnapshotDetail[]) => Promise<readonly GatewaySnapshot[]>;
  readonly changeKey: (request: KeyRequest) => Promise<KeyChanged>;
  readonly revoke: (request: unknown) => Promise<Revoked>;
  readonly lift: (request: unknown) => Promise<Lifted>;
  readonly reload: () => Promise<{ readonly ok: boolean; readonly body: object }>;
  /** Names of the nodes that are out, also of those that are not in the list now. */
  readonly drainedNodes: () => readonly string[];
  readonly drainNode: (request: unknown, out: boolean) => Promise<NodeDrained>;
  readonly exchangeToken: (request: TokenRequest) => Promise<TokenAnswer>;
  /** The caller of a credential, by the keys and revocations in force. Rejects if no process answers. */
  readonly identify: (credential: string, remote: string) => Promise<IdentifiedCaller>;
  /** Records an act. */
  readonly acted: (act: Omit<AdminAct, 'at'>) => void;
  readonly fault: (error: unknown) => void;
}

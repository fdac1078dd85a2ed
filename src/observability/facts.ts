import type { RevocationReport } from '../revocation/report.ts';
import type { FleetFigures } from './metrics/fleet-figures.ts';
import type { Reload } from './operator.ts';
import type { GatewaySnapshot } from './snapshot.ts';

/** Whether upstream answers the gateway's own questions. `undefined` = that protocol is off. */
export interface UpstreamState {
  readonly rest: boolean;
  readonly grpc: boolean | undefined;
  /** Its release, as it last said. */
  readonly version: string | undefined;
  /** Milliseconds since 1970. */
  readonly askedAt: number;
}

/** How the reloads went. */
export interface ReloadFigures {
  readonly ok: number;
  readonly failed: number;
  /** Milliseconds since 1970 at which the state in force was taken. */
  readonly takenAt: number;
  /** `undefined` = there was none. */
  readonly last: Reload | undefined;
}

/** Everything that is known of a running gateway at a moment. */
export interface Facts {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly version: string;
  readonly snapshots: readonly GatewaySnapshot[];
  readonly figures: FleetFigures;
  readonly reloads: ReloadFigures;
  readonly upstream: UpstreamState;
  readonly revocations: RevocationReport;
  /** Requests that the admin port refused. */
  readonly adminRefused: number;
}

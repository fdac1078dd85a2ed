import type { AcmeReport } from '../acme/report.ts';
import type { KeySetReport } from '../issuers/key-source.ts';
import type { SharedKeysReport } from '../named-keys/redis/report.ts';
import type { RevocationReport } from '../revocation/report.ts';
import type { FleetFigures } from './metrics/fleet-figures.ts';
import type { Reload } from './operator.ts';
import type { SharedLimitsState } from './shared-limits-state.ts';
import type { GatewaySnapshot } from './snapshot.ts';

/** Result of the gateway's own requests to upstream. `undefined` = that protocol is off. */
export interface UpstreamState {
  readonly rest: boolean;
  readonly grpc: boolean | undefined;
  /** Upstream's answer to the gateway's key; `undefined` = there is no key, or no answer. */
  readonly key: 'accepted' | 'refused' | undefined;
  /** Upstream's release, as last reported. */
  readonly version: string | undefined;
  /** Milliseconds since 1970. */
  readonly askedAt: number;
}

/** Counters and result of reloads. */
export interface ReloadFigures {
  readonly ok: number;
  readonly failed: number;
  /** Time at which the state in force was applied, in milliseconds since 1970. */
  readonly takenAt: number;
  /** `undefined` = no reload yet. */
  readonly last: Reload | undefined;
}

/** A snapshot of a running gateway. */
export interface Facts {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly version: string;
  readonly snapshots: readonly GatewaySnapshot[];
  readonly figures: FleetFigures;
  readonly reloads: ReloadFigures;
  readonly upstream: UpstreamState;
  readonly revocations: RevocationReport;
  /** Key sets of issuers that are fetched; absent = none are. */
  readonly issuerKeys?: readonly KeySetReport[] | undefined;
  /** Absent = no named keys are kept in Redis. */
  readonly sharedKeys?: SharedKeysReport | undefined;
  /** Absent = limits are not shared. */
  readonly sharedLimits?: SharedLimitsState | undefined;
  /** Absent = certificates are the operator's. */
  readonly acme?: AcmeReport | undefined;
  /** Requests refused by the admin port. */
  readonly adminRefused: number;
}

/** Shapes of JSON of the page Overview. */

/** Results of requests, as the metrics count them. */
export type Decision = 'permit' | 'denied' | 'would_deny' | 'fault';

/** Columns of equal length, one value for each sample, the oldest first. */
export interface Samples {
  /** Seconds since 1970. */
  readonly at: readonly number[];
  /** Requests a second. */
  readonly rates: Readonly<Record<Decision, readonly number[]>>;
  /** Milliseconds; null = no request in that time. */
  readonly gateway_p50: readonly (number | null)[];
  readonly gateway_p99: readonly (number | null)[];
  readonly upstream_p50: readonly (number | null)[];
  readonly upstream_p99: readonly (number | null)[];
  /** Open client connections. */
  readonly rest: readonly number[];
  readonly grpc: readonly number[];
}

/** A date on which something ends. */
export interface EndDate {
  readonly kind: 'certificate' | 'key';
  readonly name: string;
  /** RFC 3339. */
  readonly ends_at: string;
}

export interface OverviewNode {
  readonly name: string;
  readonly state: string;
  /** True = no new requests go to it, until it is taken in again. */
  readonly drained: boolean;
  readonly version: string | null;
  readonly open: number;
  readonly requests: number;
  readonly failures: number;
}

/** `GET api/overview`. */
export interface Overview {
  /** RFC 3339. */
  readonly now: string;
  readonly version: string;
  readonly uptime_seconds: number;
  readonly mode: string;
  /** False = requests without a key, or refused by the policy, pass. */
  readonly protecting: boolean;
  readonly draining: boolean;
  /** Since the start. */
  readonly totals: Readonly<Record<Decision, number>>;
  readonly in_flight: number;
  /** Open client connections. */
  readonly connections: { readonly rest: number; readonly grpc: number };
  readonly upstream: {
    readonly rest: boolean;
    readonly grpc: boolean | null;
    readonly key: 'accepted' | 'refused' | null;
    readonly version: string | null;
  };
  /** null = one address. */
  readonly nodes: readonly OverviewNode[] | null;
  /** Names of drained nodes that are not in the list of nodes now. */
  readonly drained_and_absent: readonly string[];
  /** The earliest first. */
  readonly dates: readonly EndDate[];
  readonly last_reload: {
    readonly ok: boolean;
    readonly at: string | null;
    readonly problems: readonly string[];
  } | null;
  readonly revocations: number;
  readonly revocations_unknown: boolean;
  readonly samples: Samples;
}

import type { Exchange, Outcome, Slowed } from '../../exchange/exchange.ts';
import type { Operation } from '../../policy/operation.ts';
import { VERDICTS } from '../verdict.ts';
import { GROUPS, groupOf } from './operation-group.ts';

export const PROTOCOLS = ['rest', 'grpc'] as const;
/**
 * HTTP status classes; gRPC codes are mapped to the equivalent class. `none` = no status, because the client left
 * before.
 */
export const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const;
/** Causes of a delayed request, see `Exchange.slowed`. */
export const SLOWED: readonly Slowed[] = ['abandoned', 'guesses', 'over_limit'];
/** Result of the gateway's own step. */
export const SETTLEMENTS = ['forwarded', 'refused'] as const;

/** Upper bounds, in seconds. */
export const GATEWAY_BUCKETS: readonly number[] = [
  ...[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5],
];
export const UPSTREAM_BUCKETS: readonly number[] = [
  ...[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
];

/** Observations of one histogram: the count of each bucket, the last one unbounded, and their sum in seconds. */
export interface Distribution {
  readonly at: number;
  readonly counts: readonly number[];
  readonly sum: number;
}

/**
 * Counts of one process, as plain data. Contains only non-zero counts; indices are those of `requestAt` and the like,
 * so that snapshots can be summed.
 */
export interface TallySnapshot {
  readonly requests: readonly (readonly [at: number, count: number])[];
  readonly gateway: readonly Distribution[];
  readonly upstream: readonly Distribution[];
  readonly whole: readonly Distribution[];
  /** Bytes of bodies, by protocol. */
  readonly received: readonly number[];
  readonly sent: readonly number[];
  /** Delayed requests, by protocol and cause. */
  readonly slowed: readonly number[];
}

/** Counts exchanges without allocating. */
export interface Tally {
  /** @param verdict index into `VERDICTS` @param now monotonic milliseconds */
  readonly count: (exchange: Exchange, outcome: Outcome, verdict: number, now: number) => void;
  readonly snapshot: () => TallySnapshot;
}

const NONE = STATUS_CLASSES.indexOf('none');
const [OK, CLIENT, SERVER] = [1, 3, 4];
/** gRPC codes of client errors. */
const CLIENT_CODES: ReadonlySet<number> = new Set([1, 3, 5, 6, 7, 9, 11, 12, 16]);

export function createTally(): Tally {
  const requests = new Float64Array(PROTOCOLS.length * GROUPS.length * VERDICTS.length * STATUS_CLASSES.length);
  const gateway = new Distributions(GATEWAY_BUCKETS, PROTOCOLS.length * SETTLEMENTS.length);
  const upstream = new Distributions(UPSTREAM_BUCKETS, PROTOCOLS.length * GROUPS.length);
  const whole = new Distributions(UPSTREAM_BUCKETS, PROTOCOLS.length * GROUPS.length);
  const received = new Float64Array(PROTOCOLS.length);
  const sent = new Float64Array(PROTOCOLS.length);
  const slowed = new Float64Array(PROTOCOLS.length * SLOWED.length);
  // One entry per row of the tables.
  const groups = new Map<Operation | undefined, number>([[undefined, GROUPS.indexOf('unlisted')]]);

  const placeOf = (operation: Operation | undefined): number => {
    const known = groups.get(operation);
    if (known !== undefined || !operation) return known ?? 0;
    const place = GROUPS.indexOf(groupOf(operation));
    groups.set(operation, place);
    return place;
  };

  return {
    count(exchange, outcome, verdict, now) {
      const { startedAt, forwardedAt, answeredAt } = exchange;
      const protocol = exchange.protocol === 'rest' ? 0 : 1;
      const row = protocol * GROUPS.length + placeOf(exchange.resolution?.operation);
      const at = (row * VERDICTS.length + verdict) * STATUS_CLASSES.length + classOf(exchange, outcome.status);
      requests[at] = (requests[at] ?? 0) + 1;
      if (forwardedAt > 0) gateway.add(protocol * 2, forwardedAt - startedAt);
      else gateway.add(protocol * 2 + 1, now - startedAt);
      if (answeredAt > 0) upstream.add(row, answeredAt - forwardedAt);
      whole.add(row, now - startedAt);
      received[protocol] = (received[protocol] ?? 0) + outcome.received;
      sent[protocol] = (sent[protocol] ?? 0) + outcome.sent;
      if (exchange.slowed) {
        const cause = protocol * SLOWED.length + SLOWED.indexOf(exchange.slowed);
        slowed[cause] = (slowed[cause] ?? 0) + 1;
      }
    },
    snapshot: () => ({
      requests: Array.from(requests, (count, at) => [at, count] as const).filter(([, count]) => count > 0),
      gateway: gateway.snapshot(),
      upstream: upstream.snapshot(),
      whole: whole.snapshot(),
      received: [...received],
      sent: [...sent],
      slowed: [...slowed],
    }),
  };
}

function classOf({ protocol }: Exchange, status: number | undefined): number {
  if (status === undefined) return NONE;
  if (protocol === 'rest') return Math.min(Math.max(Math.floor(status / 100) - 1, 0), SERVER);
  if (status === 0) return OK;
  return CLIENT_CODES.has(status) ? CLIENT : SERVER;
}

/** Histograms with the same buckets in one array. */
class Distributions {
  readonly #bounds: readonly number[];
  readonly #width: number;
  readonly #counts: Float64Array;
  readonly #sums: Float64Array;

  constructor(seconds: readonly number[], size: number) {
    this.#bounds = seconds.map((bound) => bound * 1000);
    this.#width = seconds.length + 1;
    this.#counts = new Float64Array(size * this.#width);
    this.#sums = new Float64Array(size);
  }

  add(at: number, milliseconds: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && milliseconds > (this.#bounds[bucket] ?? 0)) bucket += 1;
    const place = at * this.#width + bucket;
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    this.#sums[at] = (this.#sums[at] ?? 0) + milliseconds;
  }

  snapshot(): Distribution[] {
    return Array.from(this.#sums, (sum, at) => ({
      at,
      counts: [...this.#counts.subarray(at * this.#width, (at + 1) * this.#width)],
      sum: sum / 1000,
    })).filter(({ counts }) => counts.some((count) => count > 0));
  }
}

/** Labels of an index of the request counts. */
export function requestAt(
  at: number,
): Readonly<Record<'protocol' | 'group' | 'decision' | 'reason' | 'code' | 'status', string>> {
  const row = Math.floor(at / STATUS_CLASSES.length);
  const { decision = '', reason = '', code = '' } = VERDICTS[row % VERDICTS.length] ?? {};
  const status = STATUS_CLASSES[at % STATUS_CLASSES.length] ?? '';
  return { ...rowAt(Math.floor(row / VERDICTS.length)), decision, reason, code, status };
}

/** Labels of an index of upstream time and total time. */
export function rowAt(at: number): Readonly<Record<'protocol' | 'group', string>> {
  return { protocol: PROTOCOLS[Math.floor(at / GROUPS.length)] ?? '', group: GROUPS[at % GROUPS.length] ?? '' };
}

/** Labels of an index of gateway time. */
export function gatewayAt(at: number): Readonly<Record<'protocol' | 'settled', string>> {
  return {
    protocol: PROTOCOLS[Math.floor(at / SETTLEMENTS.length)] ?? '',
    settled: SETTLEMENTS[at % SETTLEMENTS.length] ?? '',
  };
}

import { createHash, randomUUID } from 'node:crypto';
import type { ExchangeLeases, LeaseAnswer, LeaseAsk, Leases } from '../limits/leases.ts';
import type { Log } from '../observability/log.ts';
import type { SharedLimitsState } from '../observability/shared-limits-state.ts';
import { PERIOD_MS } from '../policy/limits/limits.ts';
import type { RedisConnection, RedisSeat } from '../redis/connection.ts';
import { RedisFault, type RedisLink } from '../redis/link.ts';
import { createReach, type Reach } from '../redis/reach.ts';
import { LEASE } from './lease-script.ts';

/** Interval in which a gateway tells that it is there, and time after which a silent one does not count, in milliseconds. */
const TELL_MS = 1000;
const GONE_MS = 10_000;
/** Milliseconds without Redis after which it is told. */
const AWAY_MS = 2500;

const GATEWAYS = 'limits:gateways';
const BUCKET = 'limits:bucket:';

export interface SharedLimitsOptions {
  readonly connection: RedisConnection;
  /** Serving processes of this gateway. */
  readonly processes: number;
  readonly log: Log;
}

/** The limits that several gateways count together, for each serving process. */
export interface SharedLimits extends Leases {
  readonly report: () => SharedLimitsState;
  readonly close: () => Promise<void>;
}

export function openSharedLimits(options: SharedLimitsOptions): SharedLimits {
  return new LimitsInRedis(options);
}

/** Gateways and processes that share limits. */
interface Known {
  readonly gateways: number;
  readonly processes: number;
}

class LimitsInRedis implements SharedLimits {
  readonly #options: SharedLimitsOptions;
  readonly #prefix: string;
  readonly #id = randomUUID();
  readonly #seat: RedisSeat;
  readonly #reach: Reach;
  #known: Known;
  #knownAt = 0;
  #problem: string | undefined;

  constructor(options: SharedLimitsOptions) {
    const { connection, processes } = options;
    this.#options = options;
    this.#prefix = connection.address.prefix;
    this.#known = { gateways: 1, processes };
    this.#reach = createReach(AWAY_MS, (available) => this.#turned(available));
    this.#seat = connection.join({
      ...{ channel: 'limits:changed', refreshMs: TELL_MS, unavailableAfterMs: AWAY_MS },
      read: async (link) => void (await this.#run(link, [])),
      confirmed: () => {
        this.#problem = undefined;
        this.#reach.confirm();
      },
      failed: (reason) => {
        this.#problem = reason;
      },
    });
  }

  readonly exchange: ExchangeLeases = async (asks) => {
    if (asks.length === 0) return { grants: [], holders: this.#known.processes };
    const link = this.#seat.link();
    if (!link) throw new RedisFault(this.#problem ?? 'not connected');
    return await this.#run(link, asks);
  };

  readonly holders = (): number => this.#known.processes;

  readonly report = (): SharedLimitsState => ({
    available: this.#reach.available(),
    ...this.#known,
    problem: this.#problem,
  });

  readonly close = async (): Promise<void> => {
    this.#reach.close();
    await this.#seat
      .link()
      ?.remove(this.#prefix + GATEWAYS, [this.#id])
      .catch(() => undefined);
  };

  async #run(link: RedisLink, asks: readonly LeaseAsk[]): Promise<LeaseAnswer> {
    const keys = [this.#prefix + GATEWAYS, ...asks.map(({ name }) => this.#prefix + BUCKET + digestOf(name))];
    const head = [this.#id, String(this.#options.processes), String(GONE_MS)];
    const answer = await link.eval(LEASE, keys, [...head, ...asks.flatMap(argumentsOf)]);
    const figures = numbersIn(answer, 2 + 2 * asks.length);
    const [gateways = 1, processes = 1, ...rest] = figures;
    this.#count({ gateways: Math.max(1, gateways), processes: Math.max(1, processes) });
    const grants = asks.map((_, at) => ({ granted: rest[2 * at] ?? 0, level: rest[2 * at + 1] ?? 0 }));
    return { grants, holders: this.#known.processes };
  }

  /** INVARIANT: a Redis that has lost its data makes no share larger: fewer processes count when more were not seen for a time. */
  #count(found: Known): void {
    const now = performance.now();
    if (found.processes < this.#known.processes && now - this.#knownAt < GONE_MS) return;
    this.#known = found;
    this.#knownAt = now;
  }

  #turned(available: boolean): void {
    const { log } = this.#options;
    const { gateways, processes } = this.#known;
    if (available) log.info({ gateways, processes }, 'redis answers: limits are counted for all gateways together');
    else {
      const reason = this.#problem ?? 'no answer';
      log.warn({ reason, gateways, processes }, 'redis cannot be reached: each process counts its share of the limits');
    }
  }
}

function argumentsOf({ quota, used, back, want, need }: LeaseAsk): readonly string[] {
  return [quota.most, PERIOD_MS[quota.per], used, back, want, need].map(String);
}

/** A name may hold a subject or an address. */
function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('base64url');
}

function numbersIn(answer: unknown, count: number): readonly number[] {
  const figures = Array.isArray(answer) ? answer.map(Number) : [];
  if (figures.length === count && figures.every(Number.isFinite)) return figures;
  throw new RedisFault('an answer of redis is not understood');
}

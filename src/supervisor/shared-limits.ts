import { createHash, randomUUID } from 'node:crypto';
import type { ExchangeLeases, LeaseAnswer, LeaseAsk, LeaseGrant, Leases, LeaseTurn } from '../limits/leases.ts';
import type { Log } from '../observability/log.ts';
import type { SharedLimitsState } from '../observability/shared-limits-state.ts';
import { PERIOD_MS } from '../policy/limits/limits.ts';
import type { RedisConnection, RedisSeat } from '../redis/connection.ts';
import { describeRedisFault, RedisContentFault, RedisFault, type RedisLink, redisErrorWord } from '../redis/link.ts';
import { createReach, type Reach } from '../redis/reach.ts';
import { LEASE } from './lease-script.ts';

/** Interval in which a gateway tells that it is there, and time after which a silent one does not count, in milliseconds. */
const TELL_MS = 1000;
const GONE_MS = 10_000;
/** Milliseconds without Redis after which it is told. */
const AWAY_MS = 2500;
/** Milliseconds after the last failure of a bucket in which it is told. */
const FAILING_MS = 5000;

const GATEWAYS = 'limits:gateways';
const BUCKET = 'limits:bucket:';
/** The last exchange of a process. */
const LAST = 'limits:last:';
const NOT_UNDERSTOOD = 'an answer of redis is not understood';

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
  /** Available = some bucket failed lately. */
  readonly #failing: Reach;
  #failure = '';
  /** The connection on which an exchange had no answer; not used for another one before its next read. */
  #silent: RedisLink | undefined;
  #known: Known;
  #knownAt = 0;
  #problem: string | undefined;

  constructor(options: SharedLimitsOptions) {
    const { connection, processes } = options;
    this.#options = options;
    this.#prefix = connection.address.prefix;
    this.#known = { gateways: 1, processes };
    this.#reach = createReach(AWAY_MS, (available) => this.#turned(available));
    this.#failing = createReach(FAILING_MS, (failing) => this.#failed(failing));
    this.#seat = connection.join({
      ...{ channel: 'limits:changed', refreshMs: TELL_MS, unavailableAfterMs: AWAY_MS },
      read: async (link) => {
        await this.#run(link, []);
        this.#silent = undefined;
      },
      confirmed: () => {
        this.#problem = undefined;
        this.#reach.confirm();
      },
      failed: (reason) => {
        this.#problem = reason;
      },
    });
  }

  readonly exchange: ExchangeLeases = async (asks, turn) => {
    if (asks.length === 0) return { grants: [], holders: this.#known.processes };
    const link = this.#seat.link();
    if (!link || link === this.#silent) throw new RedisFault(this.#problem ?? 'not connected');
    try {
      return await this.#run(link, asks, turn);
    } catch (error) {
      if (error instanceof RedisContentFault || redisErrorWord(error) !== undefined)
        this.#fail(describeRedisFault(error));
      else this.#silent = link;
      throw error;
    }
  };

  readonly holders = (): number => this.#known.processes;

  readonly report = (): SharedLimitsState => ({
    available: this.#reach.available() && !this.#failing.available(),
    ...this.#known,
    problem: this.#problem ?? (this.#failing.available() ? this.#failure : undefined),
  });

  readonly close = async (): Promise<void> => {
    this.#reach.close();
    this.#failing.close();
    await this.#seat
      .link()
      ?.remove(this.#prefix + GATEWAYS, [this.#id])
      .catch(() => undefined);
  };

  async #run(link: RedisLink, asks: readonly LeaseAsk[], turn?: LeaseTurn): Promise<LeaseAnswer> {
    const buckets = asks.map(({ name }) => this.#prefix + BUCKET + digestOf(name));
    const keys = [this.#prefix + GATEWAYS, this.#prefix + LAST + (turn?.asker ?? ''), ...buckets];
    const head = [this.#id, String(this.#options.processes), String(GONE_MS), String(turn?.turn ?? '')];
    const answer = await link.eval(LEASE, keys, [...head, ...asks.flatMap(argumentsOf)]);
    const texts = textsIn(answer, 2 + 2 * asks.length);
    const [gateways, processes] = texts.map(Number);
    if (!gateways || !processes) throw new RedisContentFault(NOT_UNDERSTOOD);
    this.#count({ gateways, processes });
    const grants = asks.map((_, at) => this.#grantOf(texts[2 + 2 * at], texts[3 + 2 * at]));
    return { grants, holders: this.#known.processes };
  }

  #grantOf(granted = '', level = ''): LeaseGrant | undefined {
    const grant = { granted: Number(granted), level: Number(level) };
    if (granted !== '' && Number.isFinite(grant.granted) && Number.isFinite(grant.level)) return grant;
    this.#fail(granted === '' ? wordOf(level) : NOT_UNDERSTOOD);
    return undefined;
  }

  #fail(problem: string): void {
    this.#failure = problem;
    this.#failing.confirm();
  }

  #failed(failing: boolean): void {
    const { log } = this.#options;
    if (failing)
      log.warn({ reason: this.#failure }, 'redis fails for some limits: each process counts its share of them');
    else log.info('redis has failed for no limit lately');
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

/** The kind of an error inside a script: its text may name a key, and begins with `ERR` or a place in some releases. */
function wordOf(error: string): string {
  if (error.includes("can't run this command")) return 'NOPERM';
  return /\b(?!ERR\b)[A-Z]{3,}\b/.exec(error)?.[0] ?? 'ERR';
}

function textsIn(answer: unknown, count: number): readonly string[] {
  if (Array.isArray(answer) && answer.length === count) return answer.map(String);
  throw new RedisContentFault(NOT_UNDERSTOOD);
}

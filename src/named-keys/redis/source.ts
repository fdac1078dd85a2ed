import type { NamedKeysInForce } from '../../policy/named-key.ts';
import type { RedisAsked, RedisConnection, RedisSeat } from '../../redis/connection.ts';
import { describeRedisFault, RedisFault, type RedisLink } from '../../redis/link.ts';
import { createReach, type Reach } from '../../redis/reach.ts';
import type { KeyPlace } from '../store.ts';
import {
  CHANNEL,
  HASH,
  type KeyMark,
  type KeysMerged,
  type KnownKeys,
  MARK,
  mergeKeys,
  NOTHING_KNOWN,
} from './records.ts';
import type { SharedKeysReport } from './report.ts';
import { REPAIR } from './scripts.ts';
import { type OnRedis, readKeyChanges, readKeyHash, readUses, redisKeyStorage } from './storage.ts';
import { UseWriter } from './uses.ts';

/** Longest wait for the first read at the start, in milliseconds; then the gateway starts without it. */
const START_WAIT_MS = 2000;
/** Milliseconds after which missing answers are told, long before keys are refused. */
const QUIET_MS = 5000;

export interface SharedKeysOptions {
  readonly connection: RedisConnection;
  /** Interval between full reads. */
  readonly refreshMs: number;
  /** Milliseconds without Redis after which named keys are refused. */
  readonly unavailableAfterMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: {
    readonly info: (fields: object, text: string) => void;
    readonly warn: (fields: object, text: string) => void;
    readonly error: (fields: object, text: string) => void;
  };
  /** Applies the keys in every serving process. */
  readonly changed: (keys: NamedKeysInForce) => Promise<void>;
  /** Minutes of last use in this gateway, by id. */
  readonly used: () => Promise<readonly (readonly [id: string, minute: number])[]>;
}

/** The named keys of all gateways, in Redis. */
export interface SharedKeys {
  /** Resolves after the first read, or after its time limit. */
  readonly start: () => Promise<void>;
  readonly place: KeyPlace;
  readonly report: () => SharedKeysReport;
  /** Minutes of last use on any gateway; empty without Redis. */
  readonly uses: () => Promise<ReadonlyMap<string, number>>;
  readonly keys: () => NamedKeysInForce['keys'];
  /** Writes the last uses now, while serving processes can be asked for them. */
  readonly writeUses: () => Promise<void>;
  /** The connection stays open. */
  readonly close: () => void;
}

export function openSharedKeys(options: SharedKeysOptions): SharedKeys {
  return new KeysInRedis(options);
}

class KeysInRedis implements SharedKeys {
  readonly #options: SharedKeysOptions;
  readonly #prefix: string;
  readonly #seat: RedisSeat;
  /** Until keys are refused, and until it is told. */
  readonly #reach: Reach;
  readonly #near: Reach;
  readonly #first = Promise.withResolvers<void>();
  #known: KnownKeys = NOTHING_KNOWN;
  #keys: NamedKeysInForce['keys'] = [];
  #damaged: readonly string[] = [];
  #readAt = 0;
  #problem: string | undefined;
  #waiting: ((problems: readonly string[]) => void)[] = [];
  #publishing: Promise<void> = Promise.resolve();
  readonly #useWriter: UseWriter;
  readonly place: KeyPlace;

  constructor(options: SharedKeysOptions) {
    const { connection, unavailableAfterMs, refreshMs } = options;
    this.#options = options;
    this.#prefix = connection.address.prefix;
    this.#reach = createReach(unavailableAfterMs, (available) => this.#turned(available));
    this.#near = createReach(Math.min(QUIET_MS, unavailableAfterMs), (available) => {
      if (!available && this.#reach.available())
        this.#tell('warn', 'redis does not answer: named keys stay as they were last known');
    });
    this.#seat = connection.join({
      ...{ channel: CHANNEL, refreshMs, unavailableAfterMs },
      read: (link, asked) => this.#read(link, asked),
      confirmed: () => this.#confirmed(),
      failed: (reason) => this.#failed(reason),
    });
    const onLink: OnRedis = (work) => this.#onLink(work);
    this.#useWriter = new UseWriter({ prefix: this.#prefix, onLink, used: options.used });
    this.place = {
      name: 'redis',
      storage: redisKeyStorage({
        ...{ prefix: this.#prefix, on: onLink, now: options.now },
        version: () => this.#known.version,
      }),
      apply: async () => {
        const problems = await this.#nextRead();
        return problems.length === 0 ? { ok: true } : { ok: false, problems };
      },
    };
  }

  readonly start = async (): Promise<void> => {
    this.#options.connection.start();
    const timer = setTimeout(this.#first.resolve, START_WAIT_MS);
    await this.#first.promise;
    clearTimeout(timer);
    if (!this.#reach.available()) {
      this.#tell('error', UNKNOWN);
      await this.#publish();
    } else await this.#publishing;
    this.#useWriter.begin();
  };

  readonly keys = () => this.#keys;

  readonly report = (): SharedKeysReport => ({
    available: this.#near.available(),
    unknown: !this.#reach.available(),
    readAt: this.#readAt,
    keys: this.#keys.length,
    damaged: this.#damaged,
    problem: this.#problem,
  });

  readonly uses = async (): Promise<ReadonlyMap<string, number>> => {
    try {
      return await this.#onLink((link) => readUses(link, this.#prefix));
    } catch {
      return new Map();
    }
  };

  readonly close = (): void => {
    this.#useWriter.end();
    this.#reach.close();
    this.#near.close();
  };

  readonly writeUses = (): Promise<void> => this.#useWriter.write();

  async #onLink<T>(work: (link: RedisLink) => Promise<T>): Promise<T> {
    const link = this.#seat.link();
    if (!link) throw new RedisFault(this.#problem ?? 'not connected');
    return await work(link);
  }

  /** Resolves to the problems of the next read that begins from now on. */
  #nextRead(): Promise<readonly string[]> {
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    this.#waiting.push(resolve);
    this.#seat.tell(MARK);
    return promise;
  }

  async #read(link: RedisLink, { whole, told }: RedisAsked): Promise<void> {
    const waiting = this.#waiting.splice(0);
    try {
      const now = this.#options.now();
      const read = whole
        ? await readKeyHash(link, this.#prefix, now, this.#known.records)
        : await readKeyChanges(link, this.#prefix, this.#known, { ids: told, now });
      this.#readAt = this.#options.now();
      if (read) await this.#take(link, read.mark, mergeKeys(this.#known, read.mark, read.records));
      for (const resolve of waiting) resolve([]);
    } catch (error) {
      this.#waiting.push(...waiting);
      throw error;
    }
  }

  async #take(link: RedisLink, mark: KeyMark | undefined, merged: KeysMerged): Promise<void> {
    const differs = isOther(this.#known.records, merged.known.records);
    this.#known = merged.known;
    if (differs) await this.#apply();
    await this.#repair(link, mark, merged);
  }

  async #apply(): Promise<void> {
    const records = [...this.#known.records];
    this.#keys = records.flatMap(([, { settings }]) => settings ?? []);
    const damaged = records.flatMap(([id, { settings }]) => (settings ? [] : id));
    const fresh = damaged.filter((id) => !this.#damaged.includes(id));
    if (fresh.length > 0) {
      this.#options.log.error(
        { ids: fresh.slice(0, 10), records: fresh.length },
        'records of named keys in redis are damaged: these keys are refused',
      );
    }
    this.#damaged = damaged;
    await this.#publish();
  }

  #publish(): Promise<void> {
    const { changed, log } = this.#options;
    const done = this.#publishing.then(() => changed({ keys: this.#keys, unknown: !this.#reach.available() }));
    this.#publishing = done.catch(() => log.error({}, 'named keys could not be put in force'));
    return this.#publishing;
  }

  async #repair(link: RedisLink, mark: KeyMark | undefined, merged: KeysMerged): Promise<void> {
    const { known, lost, deleted, isMarkWrong } = merged;
    if (lost.length + deleted.length === 0 && !isMarkWrong) return;
    const { log, now } = this.#options;
    const isDamaged = mark !== undefined && mark.version === undefined;
    try {
      // Each version until now may have been given by changes that a damaged mark does not tell of.
      const version = isDamaged ? Math.max(known.version, now()) : known.version;
      const next = `1 ${version} ${known.origin ?? 'restored'}`;
      const args = [mark?.text ?? '', next, this.#prefix + CHANNEL, String(lost.length)];
      const sets = lost.flatMap(([id, { text }]) => [id, text]);
      const answer = await link.eval(REPAIR, [this.#prefix + HASH], [...args, ...sets, ...deleted]);
      if (answer !== 'ok') return;
      if (isDamaged)
        log.warn({}, 'the mark of named keys in redis had a version far ahead of the time; the gateway put it right');
      if (lost.length + deleted.length === 0) return;
      log.warn(
        { keys: lost.length + deleted.length },
        'redis had lost changes of named keys; the gateway made them again',
      );
    } catch (error) {
      log.warn(
        { reason: describeRedisFault(error) },
        'redis has lost named keys or holds a damaged mark, and does not let this gateway write them',
      );
    }
  }

  #confirmed(): void {
    this.#problem = undefined;
    this.#near.confirm();
    this.#reach.confirm();
    this.#first.resolve();
  }

  #turned(available: boolean): void {
    if (available) this.#options.log.info({ keys: this.#keys.length }, 'redis answers: named keys are known');
    else this.#tell('error', UNKNOWN);
    void this.#publish();
  }

  #failed(reason: string): void {
    for (const resolve of this.#waiting.splice(0)) resolve([`the named keys cannot be read from redis (${reason})`]);
    if (reason === this.#problem) return;
    this.#problem = reason;
    this.#tell('warn', 'named keys cannot be read from redis; trying again');
  }

  #tell(level: 'warn' | 'error', text: string): void {
    this.#options.log[level]({ reason: this.#problem ?? 'no answer' }, text);
  }
}

const UNKNOWN = 'redis cannot be reached: every named key is refused until it answers';

function isOther(left: KnownKeys['records'], right: KnownKeys['records']): boolean {
  return left.size !== right.size || [...right].some(([id, record]) => left.get(id) !== record);
}

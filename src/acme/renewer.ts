import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { ACME_CERTIFICATE } from '../config/sections/certificates.ts';
import { AcmeClient } from './client.ts';
import { AcmeFault, LeaseLost } from './fault.ts';
import { type AccountKey, newAccountKeyPem, readAccountKey } from './jws.ts';
import { replaceLocal } from './local-file.ts';
import { type Challenge, challengeShape, type OrderRecord, orderRecordShape, runOrder } from './order.ts';
import type { AcmeReport } from './report.ts';
import {
  afterFailure,
  afterSuccess,
  dueAt,
  fingerprintOf,
  renewalAt,
  type Schedule,
  scheduleShape,
} from './schedule.ts';
import type { AcmeSettings } from './settings.ts';
import { type AcmeStore, LEASE_MS, type Lease, RECORDS, type RecordName } from './store.ts';
import { createAsk } from './transport.ts';
import { type Issued, readIssued } from './x509.ts';

/** Time between two looks at the records, in milliseconds. */
const LOOK_MS = 1000;
/** Time in which every gateway shows new proofs, in milliseconds: two looks. */
const SHOWN_MS = 2500;
/** Time between two questions for the renewal window: as asked for, from a minute to a day. RFC 9773 section 4.3. */
const WINDOW_EVERY_MS = 6 * 3_600_000;
const WINDOW_MS = [60_000, 86_400_000] as const;
/** The same problem is logged again after this time, in milliseconds. */
const TELL_AGAIN_MS = 3_600_000;

const accountShape = z.object({ directory: z.string(), keyPem: z.string() });
const challengesShape = z.array(challengeShape).max(100);

export interface RenewerOptions {
  readonly settings: AcmeSettings;
  readonly store: AcmeStore;
  /** The file of the certificate has changed: applies it. Rejects if it is not in force. */
  readonly installed: () => Promise<void>;
  /** Shows these proofs in every serving process, and no others. */
  readonly show: (challenges: readonly Challenge[]) => Promise<void>;
  readonly log: {
    readonly info: (fields: object, text: string) => void;
    readonly warn: (fields: object, text: string) => void;
    readonly error: (fields: object, text: string) => void;
  };
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Times in milliseconds that tests shorten. */
  readonly times?: { readonly lookMs?: number; readonly shownMs?: number; readonly leaseMs?: number };
}

/** Gets and renews the certificate of the listeners, until `close`. */
export interface Renewer {
  /** Resolves after the first look: a certificate that is there already is in force then. Never rejects. */
  readonly start: () => Promise<void>;
  /** Looks now. */
  readonly wake: () => void;
  readonly report: () => AcmeReport;
  /** Ends what is under way; another gateway may go on with it. */
  readonly close: () => Promise<void>;
}

export function createRenewer(options: RenewerOptions): Renewer {
  return new Renewing(options);
}

class Renewing implements Renewer {
  readonly #options: RenewerOptions;
  readonly #fingerprint: string;
  readonly #times: { readonly lookMs: number; readonly shownMs: number; readonly leaseMs: number };
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #records: ReadonlyMap<RecordName, string> = new Map();
  #lease: Lease | undefined;
  #issued: { readonly text: string; readonly found: Issued | undefined } | undefined;
  /** The stored certificate, if it cannot be read or has another key, and the one that was logged. */
  #damaged: string | undefined;
  #toldDamaged: string | undefined;
  /** The certificate that was told to the listeners last. */
  #inForce = '';
  #shown = '[]';
  /** Remembered here, too: a full disk must not lead to orders in a row. */
  #schedule: Schedule | undefined;
  #window: { of: string; start: number; end: number } | undefined;
  /** The certificate whose window was asked for last, and when to ask again. */
  #windowAsked = { of: '', again: 0 };
  #orders = { ok: 0, failed: 0 };
  #problem: AcmeReport['problem'];
  #told = { text: '', at: 0 };

  constructor(options: RenewerOptions) {
    this.#options = options;
    this.#fingerprint = fingerprintOf(options.settings);
    this.#times = { lookMs: LOOK_MS, shownMs: SHOWN_MS, leaseMs: LEASE_MS, ...options.times };
  }

  readonly start = async (): Promise<void> => {
    // The certificate of the last start counts, also while the shared records cannot be read.
    const local = await readFile(join(this.#options.settings.folder, ACME_CERTIFICATE), 'utf8').catch(() => '');
    const found = readIssued(local);
    if (found) {
      this.#issued = { text: local, found };
      this.#inForce = local;
    }
    await this.#look();
    this.#running ??= this.#run();
  };

  readonly wake = (): void => this.#wake();

  readonly report = (): AcmeReport => {
    const { domains, directory } = this.#options.settings;
    const issued = this.#issued?.found;
    const renewal = issued && renewalAt(issued, this.#windowOf(issued));
    return {
      ...{ domains, directory, leader: this.#lease !== undefined, problem: this.#problem },
      expiresAt: issued?.notAfter,
      renewalAt: renewal,
      nextAttemptAt: this.#dueAt(),
      orders: { ...this.#orders },
    };
  };

  readonly close = async (): Promise<void> => {
    this.#stop.abort(new AcmeFault('internal', 'the gateway stops'));
    this.#wake();
    await this.#running;
    await this.#options.store.release();
  };

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#nap(this.#times.lookMs);
      if (this.#stop.signal.aborted) return;
      if (!(await this.#look())) continue;
      if (this.#lease && this.#options.now() >= this.#dueAt()) await this.#attempt(this.#lease);
    }
  }

  /** Reads what is shared, and applies it. False = that is not possible. */
  async #look(): Promise<boolean> {
    try {
      this.#records = await this.#options.store.read(RECORDS);
      await this.#apply();
      this.#lease = await this.#options.store.hold();
      if (this.#lease) {
        await this.#mend(this.#lease);
        await this.#askWindow();
      }
      if (this.#problem?.kind === 'storage') this.#solved();
      return true;
    } catch (error) {
      this.#lease = undefined;
      const again = error instanceof Error && error.message === this.#told.text;
      if (!again || this.#options.now() - this.#told.at >= TELL_AGAIN_MS) this.#failed(error, this.#dueAt());
      return false;
    }
  }

  /** Puts the certificate and the proofs of the leader in force here. */
  async #apply(): Promise<void> {
    const { settings, installed, show } = this.#options;
    const bundle = this.#records.get('certificate');
    const found = bundle === undefined || bundle === this.#inForce ? undefined : readIssued(bundle);
    this.#damaged = bundle === this.#inForce || found ? undefined : bundle;
    if (bundle !== undefined && found) {
      this.#issued = { text: bundle, found };
      await replaceLocal(join(settings.folder, ACME_CERTIFICATE), bundle);
      await installed();
      this.#inForce = bundle;
      if (!found.covers(settings.domains)) {
        this.#options.log.warn({ domains: settings.domains }, 'the certificate in force lacks configured names');
      }
    }
    const challenges = this.#records.get('challenges') ?? '[]';
    if (challenges !== this.#shown) {
      await show(parsed(challengesShape, challenges) ?? []);
      this.#shown = challenges;
    }
  }

  /** Puts the certificate in force in the place of a stored one that cannot be read; without one, the next order does. */
  async #mend(lease: Lease): Promise<void> {
    const { store, log, settings } = this.#options;
    const damaged = this.#damaged;
    if (damaged === undefined || damaged === this.#toldDamaged) return;
    this.#toldDamaged = damaged;
    const next = this.#inForce === '' ? 'another one is ordered' : 'the one in force replaces it';
    log.warn({ domains: settings.domains }, `the stored certificate cannot be read, or has another key: ${next}`);
    if (this.#inForce !== '') await store.write(lease, 'certificate', this.#inForce);
  }

  async #attempt(lease: Lease): Promise<void> {
    const { store, now, log } = this.#options;
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#stop.signal]);
    const beat = setInterval(() => {
      store.hold().then(
        (held) => {
          if (held?.fence !== lease.fence) abort.abort(new LeaseLost('another gateway is the leader'));
        },
        // A place that cannot be written: the next write says why.
        () => undefined,
      );
    }, this.#times.leaseMs / 3).unref();
    try {
      const bundle = await this.#order(lease, signal);
      this.#orders.ok += 1;
      this.#solved();
      const issued = readIssued(bundle);
      const ends = issued && new Date(issued.notAfter).toISOString();
      log.info({ domains: this.#options.settings.domains, expires_at: ends }, 'a certificate was issued');
    } catch (error) {
      if (this.#stop.signal.aborted || error instanceof LeaseLost) return;
      const asked = error instanceof AcmeFault ? error.notBefore : undefined;
      const failures = this.#known()?.failures ?? 0;
      const next = afterFailure(failures, now(), Math.random(), asked);
      this.#failed(error, next.notBefore);
      await this.#remember(lease, { ...next, problem: this.#problem?.text }).catch(() => undefined);
      this.#orders.failed += 1;
    } finally {
      clearInterval(beat);
    }
  }

  /** One order from the account to the stored certificate. */
  async #order(lease: Lease, signal: AbortSignal): Promise<string> {
    const { settings, store, now } = this.#options;
    const { client, key } = await this.#account(lease, signal);
    const replaced = this.#issued?.found;
    const bundle = await runOrder({
      ...{ client, settings, thumbprint: key.thumbprint, fingerprint: this.#fingerprint, signal, now },
      replaces: replaced?.covers(settings.domains) ? replaced.renewalId : undefined,
      begun: parsed(orderRecordShape, this.#records.get('order')),
      keep: (record: OrderRecord) => store.write(lease, 'order', JSON.stringify(record)),
      show: (challenges) => this.#publish(lease, challenges, signal),
    });
    await store.write(lease, 'certificate', bundle);
    const issued = readIssued(bundle);
    const notBefore = issued ? afterSuccess(issued, now()) : now();
    await this.#remember(lease, { failures: 0, notBefore }, settings);
    await store.write(lease, 'order', null);
    this.#records = await store.read(RECORDS);
    await this.#apply();
    return bundle;
  }

  /** The account of the directory, made at the first time, and again if it has been closed. */
  async #account(lease: Lease, signal: AbortSignal): Promise<{ client: AcmeClient; key: AccountKey }> {
    const { settings, store } = this.#options;
    const known = parsed(accountShape, this.#records.get('account'));
    const open = async (key: AccountKey) => {
      const client = this.#client(key, signal);
      await client.open(settings.email, settings.binding);
      return { client, key };
    };
    const fresh = async () => {
      const keyPem = newAccountKeyPem();
      // Kept first: an account whose key is lost cannot be used or closed.
      await store.write(lease, 'account', JSON.stringify({ directory: settings.directory, keyPem }));
      return await open(await readAccountKey(keyPem));
    };
    if (known?.directory !== settings.directory) return await fresh();
    const key = await readAccountKey(known.keyPem).catch(() => undefined);
    if (!key) {
      this.#options.log.warn(
        { directory: settings.directory },
        'the key of the account cannot be read: a new one is made',
      );
      return await fresh();
    }
    try {
      return await open(key);
    } catch (error) {
      // RFC 8555 section 7.3.6: the key of a closed account is refused.
      const closed = error instanceof AcmeFault && ['unauthorized', 'accountDoesNotExist'].includes(error.type ?? '');
      if (!closed) throw error;
      this.#options.log.warn({ directory: settings.directory }, 'the account is closed: a new one is made');
      return await fresh();
    }
  }

  #client(key: AccountKey, signal: AbortSignal): AcmeClient {
    const { settings, now } = this.#options;
    const ask = createAsk(settings.directoryCa, { signal });
    return new AcmeClient({ ask, directory: settings.directory, key, now });
  }

  /** Shows proofs here and, by the record, on every other gateway. */
  async #publish(lease: Lease, challenges: readonly Challenge[], signal: AbortSignal): Promise<void> {
    const { store, show } = this.#options;
    const text = JSON.stringify(challenges);
    await store.write(lease, 'challenges', text);
    await show(challenges);
    this.#shown = text;
    if (challenges.length > 0) await pause(this.#times.shownMs, undefined, { signal });
  }

  /** The schedule, if it was made under these settings. */
  #known(): Schedule | undefined {
    const stored = parsed(scheduleShape, this.#records.get('schedule'));
    const [one, other] = [stored, this.#schedule];
    const later = one && other && other.notBefore > one.notBefore ? other : (one ?? other);
    return later?.settings === this.#fingerprint ? later : undefined;
  }

  #dueAt(): number {
    const issued = this.#issued?.found;
    const stored = parsed(scheduleShape, this.#records.get('schedule'));
    const schedule = this.#known() ?? stored;
    const renewal = issued ? renewalAt(issued, this.#windowOf(issued)) : 0;
    return dueAt(this.#options.settings, schedule, issued, renewal);
  }

  /** @param issuedFor set after an order that succeeded */
  async #remember(
    lease: Lease,
    next: { readonly failures: number; readonly notBefore: number; readonly problem?: string | undefined },
    issuedFor?: AcmeSettings,
  ): Promise<void> {
    const before = parsed(scheduleShape, this.#records.get('schedule'));
    this.#schedule = {
      settings: this.#fingerprint,
      directory: issuedFor?.directory ?? before?.directory ?? null,
      domains: [...(issuedFor?.domains ?? before?.domains ?? [])],
      ...next,
    };
    await this.#options.store.write(lease, 'schedule', JSON.stringify(this.#schedule));
  }

  #windowOf({ renewalId }: Issued): { start: number; end: number } | undefined {
    return this.#window && this.#window.of === renewalId ? this.#window : undefined;
  }

  /** Asks for the renewal window of the certificate in force, now and then. A fault changes nothing. */
  async #askWindow(): Promise<void> {
    const { now, settings } = this.#options;
    const id = this.#issued?.found?.renewalId;
    const key = parsed(accountShape, this.#records.get('account'));
    if (id === undefined || !key || (this.#windowAsked.of === id && now() < this.#windowAsked.again)) return;
    this.#windowAsked = { of: id, again: now() + WINDOW_EVERY_MS };
    try {
      if (key.directory !== settings.directory) return;
      const asked = await this.#client(await readAccountKey(key.keyPem), this.#stop.signal).renewalWindow(id);
      if (!asked) return;
      this.#window = { of: id, ...asked.value };
      const [least, most] = WINDOW_MS;
      const wanted = (asked.again ?? this.#windowAsked.again) - now();
      this.#windowAsked = { of: id, again: now() + Math.min(most, Math.max(least, wanted)) };
    } catch {
      // Renewal by the life of the certificate does not depend on it.
    }
  }

  #solved(): void {
    this.#problem = undefined;
    this.#told = { text: '', at: 0 };
  }

  #failed(error: unknown, nextAt: number): void {
    const { log, now, settings } = this.#options;
    const fault =
      error instanceof AcmeFault
        ? error
        : new AcmeFault('internal', error instanceof Error ? `internal error (${error.name})` : 'internal error');
    this.#problem = { kind: fault.kind, text: fault.message, at: now() };
    this.#told = { text: fault.message, at: now() };
    const issued = this.#issued?.found;
    const fields = {
      ...{ domains: settings.domains, directory: settings.directory, problem: fault.kind, reason: fault.message },
      next_attempt_at: new Date(Math.max(nextAt, now())).toISOString(),
    };
    if (!issued) log.error(fields, 'no certificate: every TLS handshake fails');
    else
      log.error({ ...fields, expires_at: new Date(issued.notAfter).toISOString() }, 'the certificate was not renewed');
  }

  async #nap(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, ms);
    timer.unref();
    await promise;
    clearTimeout(timer);
  }
}

/** A record, if it has this shape: one that cannot be read is none. */
function parsed<T>(shape: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

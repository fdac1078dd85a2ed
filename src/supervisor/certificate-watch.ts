import type { Secrets } from '../config/secrets.ts';
import type { Log } from '../observability/log.ts';
import { certificateExpiries } from '../observability/metrics/certificate-expiry.ts';

const DAY_MS = 86_400_000;
/** A certificate that ends within this time is told, in milliseconds. */
const SOON_MS = 14 * DAY_MS;
/** One that lives for a shorter time is told in this part of its life: it is renewed when a third is left. */
const LAST_PART = 4;

export interface CertificateWatchOptions {
  /** Those in force. */
  readonly secrets: () => Secrets;
  readonly log: Pick<Log, 'warn' | 'error'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Log lines about certificates that have ended or end within 14 days, at most one a day for each. */
export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  readonly #told = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
  }

  /** Looks now, and once a day. */
  begin(): void {
    this.look();
    this.#timer = setInterval(() => this.look(), DAY_MS).unref();
  }

  /** Also for the certificates of a reload. */
  look(): void {
    const { secrets, log, now } = this.#options;
    for (const { certificate, expiresAt, lifetime } of certificateExpiries(secrets())) {
      const name = `${certificate} ${expiresAt}`;
      const left = expiresAt - now();
      if (left > Math.min(SOON_MS, lifetime / LAST_PART) || now() - (this.#told.get(name) ?? 0) < DAY_MS) continue;
      // A certificate that was replaced is not told again.
      for (const one of this.#told.keys()) if (one.startsWith(`${certificate} `)) this.#told.delete(one);
      this.#told.set(name, now());
      const fields = { certificate, expires_at: new Date(expiresAt).toISOString(), days: Math.floor(left / DAY_MS) };
      if (left <= 0) log.error(fields, 'a certificate has ended');
      else log.warn(fields, 'a certificate ends soon');
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { AcmeSettings } from './settings.ts';
import type { Issued } from './x509.ts';

/* When the next attempt is due. Pure: all times are milliseconds since 1970. */

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Pauses after failures in a row: three times the one before, from a minute to six hours. */
const FIRST_PAUSE_MS = MINUTE_MS;
const LONGEST_PAUSE_MS = 6 * HOUR_MS;
/** Share of a certificate's life by which renewals of many certificates are spread. */
const SPREAD = 1 / 20;

/** The state between two attempts, also for the next leader. */
export const scheduleShape = z.object({
  /** Of the settings: others need not wait for what these have failed at. */
  settings: z.string(),
  /** Directory and names of the certificate in force. */
  directory: z.string().nullable(),
  domains: z.array(z.string()),
  /** Failures in a row. */
  failures: z.int().min(0),
  notBefore: z.number(),
  /** Why the last attempt failed; absent = it did not. */
  problem: z.string().optional(),
});
export type Schedule = z.output<typeof scheduleShape>;

/** Tells settings apart without showing them. */
export function fingerprintOf({ directory, domains, challenge, email, binding, profile }: AcmeSettings): string {
  const parts = [directory, [...domains].sort(), challenge, email, binding?.keyId, profile];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22);
}

/** A number from 0 to 1 that belongs to a certificate: all gateways, and all starts of one, choose the same time. */
function fractionOf({ notAfter, renewalId }: Issued): number {
  return createHash('sha256').update(`${renewalId} ${notAfter}`).digest().readUInt32BE(0) / 2 ** 32;
}

/**
 * When a certificate is renewed: when a third of its life is left, and a little earlier by its spread; and not after the time
 * in the window that the certificate authority suggests (RFC 9773 section 4.2).
 */
export function renewalAt(issued: Issued, window?: { readonly start: number; readonly end: number }): number {
  const life = issued.notAfter - issued.notBefore;
  const fraction = fractionOf(issued);
  const byLife = issued.notAfter - life / 3 - fraction * life * SPREAD;
  return window ? Math.min(byLife, window.start + fraction * (window.end - window.start)) : byLife;
}

/**
 * When the next order is due.
 *
 * @param issued the certificate in force; `undefined` = there is none
 * @param renewal of `renewalAt`; ignored without a certificate
 */
export function dueAt(
  settings: AcmeSettings,
  schedule: Schedule | undefined,
  issued: Issued | undefined,
  renewal: number,
): number {
  const held = schedule && schedule.settings === fingerprintOf(settings) ? schedule.notBefore : 0;
  const other = schedule?.directory != null && schedule.directory !== settings.directory;
  if (!issued?.covers(settings.domains) || other) return held;
  return Math.max(held, renewal);
}

/** After a failure. @param random from 0 to 1 @param asked the time that the certificate authority asked for */
export function afterFailure(
  failures: number,
  now: number,
  random: number,
  asked: number | undefined,
): { readonly failures: number; readonly notBefore: number } {
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 3 ** Math.min(failures, 10)) * (0.75 + random / 2);
  return { failures: failures + 1, notBefore: Math.max(now + pause, asked ?? 0) };
}

/** The earliest next order after one that succeeded: whatever a clock says, certificates are not ordered in a row. */
export function afterSuccess({ notBefore, notAfter }: Issued, now: number): number {
  return now + Math.min(HOUR_MS, (notAfter - notBefore) / 3);
}

/* Moments as commands and the admin port take them: a time from now, or a date. */

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Longest life of a break-glass key, in hours. */
export const BREAK_GLASS_HOURS = 24;

/** Longest time for which the former text of a rotated key is accepted, in days. */
const OVERLAP_DAYS = 366;

/** The form of the end of an overlap, for texts: `must be like ...`. */
export const OVERLAP_FORM = `24h, 7d, an ISO date, or 0; at most ${OVERLAP_DAYS}d`;

/** True = the former text of a key would be accepted for too long. @param seconds its end, @param nowMs both since 1970 */
export function isLongOverlap(seconds: number, nowMs: number): boolean {
  return seconds - Math.floor(nowMs / 1000) > OVERLAP_DAYS * 86_400;
}

/** The form of a moment, for texts: `must be like ...`. */
export const MOMENT_FORM = '30d, 12h, 90m or an ISO date';

/**
 * Seconds since 1970 of `30d`, `12h`, `90m`, `3600s`, `2w` from now, or of an ISO date.
 *
 * @param nowMs milliseconds since 1970
 * @returns `zero`: no time from now; `past`: a date before now
 */
export function readMoment(text: string, nowMs: number): number | 'malformed' | 'zero' | 'past' {
  const [, count, unit = ''] = /^([0-9]{1,6})([smhdw])$/.exec(text) ?? [];
  const now = Math.floor(nowMs / 1000);
  if (count !== undefined) return Number(count) === 0 ? 'zero' : now + Number(count) * (UNIT_SECONDS[unit] ?? 0);
  const date = /^[0-9]{4}-[0-9]{2}-[0-9]{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(date)) return 'malformed';
  const seconds = Math.floor(date / 1000);
  return seconds <= now ? 'past' : seconds;
}

/** True = a text for no time at all, such as `0` or `0h`. */
export function isNoTime(text: string): boolean {
  return /^0[smhdw]?$/.test(text);
}

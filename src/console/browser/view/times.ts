/** `in 3 days`, `2 minutes ago`. @param iso `null` = never */
export function away(iso: string | null | undefined, now = Date.now()): string {
  if (iso === null || iso === undefined || iso === 'never') return 'never';
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return iso;
  const [number, unit] = inUnits(Math.abs(at - now) / 1000);
  if (number === 0) return 'now';
  const text = `${number} ${unit}${number === 1 ? '' : 's'}`;
  return at > now ? `in ${text}` : `${text} ago`;
}

const UNITS = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 60],
  ['month', 24],
] as const;

function inUnits(seconds: number): readonly [number, string] {
  let left = seconds;
  for (const [unit, most] of UNITS) {
    if (left < most * (unit === 'day' ? 1 : 1.5)) return [Math.round(left), unit];
    left /= unit === 'day' ? 30.4 : most;
  }
  return [Math.round(left / 12), 'year'];
}

/** `2026-11-30 06:41:09` in the time of the reader. */
export function clock(iso: string | number): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return String(iso);
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `06:41:09` today, `11-30 06:41:09` else. */
export function shortClock(iso: string): string {
  const full = clock(iso);
  return full.slice(0, 10) === clock(Date.now()).slice(0, 10) ? full.slice(11) : full.slice(5);
}

/** `3 d 4 h`, `12 min`. */
export function span(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

/** `1,234` or `1.2 million`. */
export function count(number: number): string {
  if (number >= 10_000_000) return `${(number / 1_000_000).toFixed(1)} million`;
  return Math.round(number).toLocaleString('en');
}

/** A duration with three digits: `0.21 ms`, `38 ms`, `1.2 s`. @param ms `null` = none */
export function duration(ms: number | null): string {
  if (ms === null) return '–';
  if (ms === 0) return '0 ms';
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(ms >= 1 ? 1 : 2)} ms`;
}

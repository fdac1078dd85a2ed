import type { ResponseFilterName } from '../../policy/operation.ts';
import type { TelemetryView } from './filter-telemetry.ts';

/** The upstream request of an answer that will be filtered. */
export interface FilterPlan {
  /** The query string to send, without the question mark; empty = none. */
  readonly query: string;
  /** Handed to the filter. */
  readonly view: TelemetryView;
  /** The filter counts collections by a list of all names, which the lane has to look up: `FilterContext.existing`. */
  readonly needsNames: boolean;
}

const AS_ASKED: TelemetryView = { level: 2, anonymous: false };
/** A query upstream refuses with 400. Should it answer after all, the least is shown. */
const LEAST: TelemetryView = { level: 0, anonymous: true };

/**
 * The query to send upstream for a list access.
 *
 * Telemetry holds names from level 2 on, and what a level 1 entry is made of from level 3 on: lower levels are asked
 * for there and rebuilt. With `anonymize=true` names are hashed and nothing can be told apart, so the answer is asked for
 * as it was and single collections are left out. A query that cannot be read is sent as it is, for upstream to refuse.
 *
 * @param query the raw query string without the question mark
 */
export function planFilter(name: ResponseFilterName, query: string): FilterPlan {
  if (name !== 'telemetry') return { query, view: AS_ASKED, needsNames: false };
  const pairs = query.split('&').filter((pair) => pair !== '');
  const levels = valuesOf(pairs, 'details_level');
  const flags = valuesOf(pairs, 'anonymize');
  const level = levelOf(levels);
  const readable =
    level !== undefined && flags.length <= 1 && flags.every((flag) => flag === 'true' || flag === 'false');
  if (!readable) return { query, view: LEAST, needsNames: false };
  if (flags[0] === 'true') return { query, view: { level, anonymous: true }, needsNames: true };
  if (level >= 2) return { query, view: { level, anonymous: false }, needsNames: false };
  const others = pairs.filter((pair) => keyOf(pair) !== 'details_level');
  return {
    query: [`details_level=${level === 0 ? 2 : 3}`, ...others].join('&'),
    view: { level, anonymous: false },
    needsNames: false,
  };
}

/** Upstream reads a 64-bit number; 0 when none is given. */
function levelOf(values: readonly string[]): number | undefined {
  const [first = '0'] = values;
  return values.length <= 1 && /^\+?\d{1,19}$/.test(first) ? Number(first) : undefined;
}

function valuesOf(pairs: readonly string[], key: string): readonly string[] {
  return pairs.filter((pair) => keyOf(pair) === key).map((pair) => decodeForm(afterEquals(pair)));
}

function keyOf(pair: string): string {
  const equals = pair.indexOf('=');
  return decodeForm(equals < 0 ? pair : pair.slice(0, equals));
}

function afterEquals(pair: string): string {
  const equals = pair.indexOf('=');
  return equals < 0 ? '' : pair.slice(equals + 1);
}

/** One side of an `application/x-www-form-urlencoded` pair, byte by byte: enough for names and values of ASCII. */
function decodeForm(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

import type { Json, JsonObject } from '../fake-qdrant/json.ts';
import { chosen, NUMBERS, type PointDraw, VECTOR_NAMES, WORDS } from './points.ts';

const PATHS = [
  'word',
  'number',
  'flag',
  'share',
  'any',
  'any[]',
  'any[0]',
  'any.x',
  'any[].x',
  'object',
  'object.x',
  'object.x.y',
  'object.list[]',
  'object."a.b"',
  'elements',
  'elements[]',
  'elements[].x',
  'elements[1].x',
  'elements[].list[]',
  'elements.x',
  'text',
  '"a.b"',
  'a.b',
  'missing',
] as const;

const INDEXED: ReadonlySet<string> = new Set(['word', 'number', 'flag', 'share']);
const TYPED = { word: WORDS, number: NUMBERS } as const;

function match(draw: PointDraw): JsonObject {
  switch (draw.below(8)) {
    case 0:
      return { any: draw.oneIn(2) ? some(draw, WORDS) : some(draw, NUMBERS) };
    case 1:
      return { except: draw.oneIn(2) ? some(draw, WORDS) : some(draw, NUMBERS) };
    case 2:
      return { text: draw.of(['quick', 'brown fox', 'slow']) };
    case 3:
      return { text_any: draw.of(['slow fox', 'quick']) };
    case 4:
      return { prefix: draw.of(['a', 'quick', '']) };
    default:
      return { value: draw.of<Json>([...WORDS, ...NUMBERS, 9_223_372_036_854_775_807n]) };
  }
}

function some<T extends Json>(draw: PointDraw, from: readonly T[]): T[] {
  return [draw.of(from), ...chosen(draw, from, 2)];
}

function range(draw: PointDraw): JsonObject {
  const bounds = chosen(draw, ['gt', 'gte', 'lt', 'lte'], 2);
  return Object.fromEntries(bounds.map((bound) => [bound, draw.of([0, 1, 2, 0.5])]));
}

function counts(draw: PointDraw): JsonObject {
  const bounds = ['gte', ...chosen(draw, ['gt', 'lt', 'lte'], 1)];
  return Object.fromEntries(bounds.map((bound) => [bound, draw.below(4)]));
}

function field(draw: PointDraw, key: string): JsonObject {
  if (key in TYPED && !draw.oneIn(3)) {
    return { key, match: { value: draw.of<Json>(TYPED[key as keyof typeof TYPED]) } };
  }
  switch (draw.below(6)) {
    case 0:
      return { key, range: range(draw) };
    case 1:
      return { key, values_count: counts(draw) };
    case 2:
      return draw.oneIn(2) ? { key, is_empty: draw.oneIn(2) } : { key, is_null: draw.oneIn(2) };
    case 3:
      // Of several checks on an indexed field, the engine asks its index for one.
      return INDEXED.has(key) ? { key, match: match(draw) } : { key, match: match(draw), range: range(draw) };
    default:
      return { key, match: match(draw) };
  }
}

function condition(draw: PointDraw, depth: number): Json {
  switch (draw.below(depth > 0 ? 12 : 8)) {
    case 0:
      return { has_id: chosen(draw, draw.ids, 6) };
    case 1:
      return { is_empty: { key: draw.of(PATHS) } };
    case 2:
      return { is_null: { key: draw.of(PATHS) } };
    case 3:
      return { has_vector: draw.of(VECTOR_NAMES) };
    case 8:
      return {
        nested: { key: draw.of(['elements', 'elements[]', 'any', 'object', 'a']), filter: inner(draw, depth - 1) },
      };
    case 9:
    case 10:
      return filter(draw, depth - 1);
    default:
      return field(draw, draw.of(PATHS));
  }
}

// Below `nested`, paths begin at the element.
function inner(draw: PointDraw, depth: number): JsonObject {
  const keys = ['x', 'y', 'list', 'list[]', '"a.b"', 'x.y'] as const;
  return lists(draw, () => (draw.oneIn(4) && depth > 0 ? inner(draw, depth - 1) : field(draw, draw.of(keys))));
}

function lists(draw: PointDraw, make: () => Json): JsonObject {
  const made: JsonObject = {};
  for (const name of ['must', 'should', 'must_not'] as const) {
    if (!draw.oneIn(2)) continue;
    const conditions = draw.some(3, make);
    // One object stands for a list of one.
    made[name] = conditions.length === 1 && draw.oneIn(2) ? conditions[0] : conditions;
  }
  if (draw.oneIn(6)) {
    // Upstream: v1.19.0 answers by the plan it chose where there are no conditions.
    made.min_should = { conditions: [make(), ...draw.some(2, make)], min_count: 1 + draw.below(3) };
  }
  return made;
}

/** A filter of every kind of condition, nested up to `depth` times. */
export function filter(draw: PointDraw, depth = 2): JsonObject {
  return lists(draw, () => condition(draw, depth));
}

/** A filter, or none. */
export function maybeFilter(draw: PointDraw): JsonObject | undefined {
  return draw.oneIn(3) ? undefined : filter(draw);
}

/** Paths of payloads, as writes and selections name them. */
export function path(draw: PointDraw): string {
  return draw.of(PATHS);
}

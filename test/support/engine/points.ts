import type { Json, JsonObject } from '../fake-qdrant/json.ts';
import { Draw, type Tape } from '../generators/arbitraries.ts';

/** The collection of the comparison: vectors of sixty-fourths, so that sums of products are exact. */
export const COLLECTION: JsonObject = {
  vectors: { '': { size: 3, distance: 'Dot' }, far: { size: 2, distance: 'Euclid' } },
  sparse_vectors: { words: { modifier: 'idf' }, plain: {} },
};

/** Payload indexes, on fields whose values are of one type. */
export const INDEXES: readonly JsonObject[] = [
  { field_name: 'word', field_schema: 'keyword' },
  { field_name: 'number', field_schema: 'integer' },
  { field_name: 'flag', field_schema: 'bool' },
  { field_name: 'share', field_schema: 'float' },
];

/** Ids few enough to meet again: numbers, one beyond 2^53, and UUIDs. */
export const IDS: readonly Json[] = [
  ...Array.from({ length: 14 }, (_id, at) => at + 1),
  18_446_744_073_709_551_615n,
  'f47ac10b-58cc-4372-a567-0e02b2c3d479',
  '00000000-0000-4000-8000-000000000001',
];

/** A tape of decisions about points, and the ids they may have. */
export class PointDraw extends Draw {
  readonly ids: readonly Json[];

  constructor(tape: Tape, ids: readonly Json[] = IDS) {
    super(tape);
    this.ids = ids;
  }
}

export const WORDS = ['a', 'b', 'ab', '1', 'true', ''] as const;
export const NUMBERS = [0, 1, 2, 3, -1, 7] as const;

/** A list with up to `most` different members. */
export function chosen<T>(draw: Draw, from: readonly T[], most: number): T[] {
  return draw.shuffled(from).slice(0, draw.below(most + 1));
}

function oneOrMore(draw: PointDraw, from: readonly Json[]): Json {
  return draw.oneIn(3) ? chosen(draw, from, 3) : draw.of(from);
}

function anything(draw: PointDraw, depth: number): Json {
  const kinds = depth > 0 ? 9 : 6;
  switch (draw.below(kinds)) {
    case 0:
      return draw.of(WORDS);
    case 1:
      return draw.of(NUMBERS);
    case 2:
      return draw.oneIn(2);
    case 3:
      return null;
    case 4:
      return draw.of([0.5, 1.25, -2.5]);
    case 5:
      return 9_223_372_036_854_775_807n;
    case 6:
      return draw.some(3, () => withoutNull(anything(draw, depth - 1)));
    default:
      return objectOfAnything(draw, depth - 1);
  }
}

function objectOfAnything(draw: PointDraw, depth: number): JsonObject {
  const names = chosen(draw, ['x', 'y', 'list', 'a.b'], 3);
  return Object.fromEntries(names.map((name) => [name, anything(draw, depth)]));
}

function elements(draw: PointDraw): Json {
  return draw.some(3, () => (draw.oneIn(5) ? withoutNull(anything(draw, 1)) : objectOfAnything(draw, 1)));
}

// Whether a list that holds null is null is another matter in the engine's release (see `judge.ts`).
function withoutNull(value: Json): Json {
  return value ?? false;
}

/** A payload: indexed fields of one type each, and others with anything in them. */
export function payload(draw: PointDraw): JsonObject {
  const fields: [string, () => Json][] = [
    ['word', () => oneOrMore(draw, WORDS)],
    ['number', () => oneOrMore(draw, NUMBERS)],
    ['flag', () => oneOrMore(draw, [true, false])],
    ['share', () => oneOrMore(draw, [0.5, 1.5, -0.25])],
    ['any', () => anything(draw, 2)],
    ['object', () => objectOfAnything(draw, 2)],
    ['elements', () => elements(draw)],
    ['text', () => draw.of(['quick brown fox', 'brown', 'fox quick'])],
    ['a.b', () => anything(draw, 0)],
    ['a', () => ({ b: anything(draw, 1) })],
  ];
  return Object.fromEntries(chosen(draw, fields, 7).map(([name, make]) => [name, make()]));
}

function part(draw: PointDraw): number {
  return (draw.below(256) - 128) / 64;
}

/** A dense vector of so many dimensions. */
export function dense(draw: PointDraw, size: number): number[] {
  return Array.from({ length: size }, () => part(draw));
}

/** A sparse vector with one to four of eight indices. */
export function sparse(draw: PointDraw): JsonObject {
  const indices = draw.shuffled([0, 1, 2, 3, 4, 5, 6, 7]).slice(0, 1 + draw.below(4));
  return { indices, values: indices.map(() => 0.25 + draw.below(64) / 16) };
}

const VECTORS: readonly [string, (draw: PointDraw) => Json][] = [
  ['', (draw) => dense(draw, 3)],
  ['far', (draw) => dense(draw, 2)],
  ['words', sparse],
  ['plain', sparse],
];

/** The vectors of a point, mostly the default one among them. */
export function vectors(draw: PointDraw): JsonObject {
  const names = draw.oneIn(6)
    ? chosen(draw, VECTORS, 2)
    : [...VECTORS.slice(0, 1), ...chosen(draw, VECTORS.slice(1), 3)];
  return Object.fromEntries(names.map(([name, make]) => [name, make(draw)]));
}

/** The names of the vectors. */
export const VECTOR_NAMES = VECTORS.map(([name]) => name);

/** A vector to ask with. */
export function asked(draw: PointDraw, name: string): Json {
  return (VECTORS.find(([one]) => one === name)?.[1] ?? sparse)(draw);
}

/** A point with an id of the few. */
export function point(draw: PointDraw): JsonObject {
  return { id: draw.of(draw.ids), vector: vectors(draw), payload: payload(draw) };
}

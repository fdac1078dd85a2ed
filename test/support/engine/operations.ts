import { isObject, type Json, type JsonObject } from '../fake-qdrant/json.ts';
import { filter, maybeFilter, path } from './filters.ts';
import { asked, chosen, type PointDraw, payload, point, VECTOR_NAMES, vectors } from './points.ts';

/** One operation, its body in REST form; `update` is one of the writes of an update batch. */
export type Operation = { readonly op: string; readonly body: JsonObject };

function selector(draw: PointDraw): JsonObject {
  return draw.oneIn(2) ? { points: someIds(draw) } : { filter: filter(draw) };
}

/** One to four ids. */
export function someIds(draw: PointDraw): Json[] {
  return [draw.of(draw.ids), ...chosen(draw, draw.ids, 3)];
}

function conditional(draw: PointDraw): JsonObject {
  const mode = draw.of([undefined, 'upsert', 'insert_only', 'update_only']);
  return { update_filter: maybeFilter(draw), update_mode: mode };
}

/** The writes of an update batch. */
export const WRITES: readonly ((draw: PointDraw) => Operation)[] = [
  (draw) => ({
    op: 'upsert',
    body: { points: [point(draw), ...draw.some(3, () => point(draw))], ...conditional(draw) },
  }),
  (draw) => {
    const points = [point(draw), ...draw.some(2, () => point(draw))];
    const far = points.map(() => asked(draw, 'far'));
    const batch = {
      ids: points.map(({ id }) => id ?? 1),
      vectors: { far },
      payloads: points.map((one) => one.payload ?? null),
    };
    return { op: 'upsert', body: { batch, ...conditional(draw) } };
  },
  (draw) => {
    const points = someIds(draw).map((id) => ({ id, vector: vectors(draw) }));
    return { op: 'update_vectors', body: { points, update_filter: maybeFilter(draw) } };
  },
  (draw) => ({ op: 'delete', body: draw.oneIn(2) ? { points: someIds(draw) } : { filter: narrow(draw) } }),
  (draw) => ({ op: 'delete_vectors', body: { ...selector(draw), vector: [draw.of(VECTOR_NAMES)] } }),
  (draw) => {
    const key = draw.oneIn(2) ? path(draw) : undefined;
    return {
      op: 'set_payload',
      body: { ...selector(draw), payload: key === undefined ? change(draw) : { x: draw.below(3), y: null }, key },
    };
  },
  (draw) => ({ op: 'overwrite_payload', body: { ...selector(draw), payload: payload(draw) } }),
  (draw) => ({ op: 'delete_payload', body: { ...selector(draw), keys: draw.some(3, () => path(draw)) } }),
  (draw) => ({ op: 'clear_payload', body: selector(draw) }),
];

// Deleting what a random filter finds would soon leave nothing.
function narrow(draw: PointDraw): JsonObject {
  return { must: [{ has_id: someIds(draw) }, filter(draw)] };
}

// A member that is null removes one, but where a payload was cleared before the engine keeps it (see `judge.ts`).
function change(draw: PointDraw): JsonObject {
  return Object.fromEntries(Object.entries(payload(draw)).filter(([, value]) => value !== null));
}

function withPayload(draw: PointDraw): Json {
  const paths = (): string[] => draw.some(3, () => path(draw));
  return draw.of<() => Json>([() => true, () => ({ include: paths() }), () => ({ exclude: paths() })])();
}

function orderBy(draw: PointDraw): JsonObject {
  const order = { key: draw.of(['number', 'share', 'word']), direction: draw.of(['asc', 'desc']) };
  return draw.oneIn(3) ? { ...order, start_from: draw.of([0, 1, 0.5]) } : order;
}

// Ranks among the same scores are left to chance, and a fusion makes scores of ranks: there, no two may be the same.
function steadyQuery(draw: PointDraw, using: string): Json | undefined {
  return draw.oneIn(5) ? undefined : { nearest: asked(draw, using) };
}

function query(draw: PointDraw, using: string): Json | undefined {
  const vector = (): Json => asked(draw, using);
  const pairs = (): Json[] => [{ positive: vector(), negative: vector() }];
  switch (draw.below(9)) {
    case 0:
      return undefined;
    case 1:
      return { order_by: { key: 'number' } };
    case 2:
      return { discover: { target: vector(), context: pairs() } };
    case 3:
      return { context: pairs() };
    case 4:
      return {
        recommend: {
          positive: [vector()],
          negative: draw.some(2, vector),
          strategy: draw.of(['best_score', 'sum_scores']),
        },
      };
    default:
      return { nearest: vector() };
  }
}

// Without a corpus the engine counts deleted vectors as well, until it next optimises.
function idf(draw: PointDraw, using: string): JsonObject | undefined {
  return using === 'words' ? { idf: { corpus: draw.oneIn(4) ? {} : filter(draw, 1) } } : undefined;
}

/** A query with prefetches up to `depth` levels deep. */
export function level(draw: PointDraw, depth: number, ask = query): JsonObject {
  const using = draw.of(VECTOR_NAMES);
  const wide = { limit: 40 + draw.below(4), filter: maybeFilter(draw) };
  if (depth === 0 || draw.oneIn(3)) {
    const asks = ask(draw, using);
    return {
      ...wide,
      using,
      query: asks,
      params: isObject(asks) && !('order_by' in asks) ? idf(draw, using) : undefined,
    };
  }
  const inner = (): JsonObject => level(draw, depth - 1, steadyQuery);
  const prefetch = [inner(), ...draw.some(2, inner)];
  if (ask === query && draw.oneIn(2)) {
    const fusion = draw.of<Json>([{ fusion: 'rrf' }, { fusion: 'dbsf' }, { rrf: { k: 3 } }]);
    return { ...wide, prefetch, query: fusion };
  }
  return { ...wide, prefetch, using, query: { nearest: asked(draw, using) }, params: idf(draw, using) };
}

/** The reads the engine has. */
export const READS: readonly ((draw: PointDraw) => Operation)[] = [
  (draw) => ({ op: 'count', body: { filter: filter(draw), exact: true } }),
  (draw) => ({ op: 'count', body: { filter: filter(draw, 3) } }),
  (draw) => {
    const limit = 1 + draw.below(20);
    const offset = draw.oneIn(3) ? draw.of(draw.ids) : undefined;
    return {
      op: 'scroll',
      body: { filter: maybeFilter(draw), limit, offset, with_payload: withPayload(draw), with_vector: draw.oneIn(2) },
    };
  },
  (draw) => ({
    op: 'scroll',
    body: { filter: maybeFilter(draw), limit: 40, order_by: orderBy(draw), with_payload: false },
  }),
  (draw) => {
    const vector = draw.oneIn(2) ? draw.oneIn(2) : chosen(draw, VECTOR_NAMES, 2);
    return {
      op: 'retrieve',
      body: { ids: draw.some(6, () => draw.of(draw.ids)), with_payload: withPayload(draw), with_vector: vector },
    };
  },
  (draw) => ({
    op: 'facet',
    body: { key: draw.of(['word', 'number', 'flag', 'any']), limit: 1 + draw.below(3) * 9, filter: maybeFilter(draw) },
  }),
  (draw) => ({ op: 'query', body: level(draw, 2) }),
  (draw) => ({ op: 'query', body: level(draw, 0) }),
];

/** A random operation, more often a read. */
export function operation(draw: PointDraw): Operation {
  return draw.of(draw.oneIn(3) ? WRITES : READS)(draw);
}

/** What every sequence begins with: points, most of them with vectors and payloads. */
export function beginning(draw: PointDraw): Operation {
  return {
    op: 'upsert',
    body: { points: draw.ids.slice(0, 4 + draw.below(12)).map((id) => ({ ...point(draw), id })) },
  };
}

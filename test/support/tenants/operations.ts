import { maybeFilter } from '../engine/filters.ts';
import { level, type Operation, READS, someIds, WRITES } from '../engine/operations.ts';
import { asked, type PointDraw, VECTOR_NAMES } from '../engine/points.ts';
import type { Json, JsonObject } from '../fake-qdrant/json.ts';

/** An operation of a tenant: those of the engine's comparison, and those that only a server has. */
export type TenantOperation = Operation & { readonly protocol: 'rest' | 'grpc' };

/** Names of the operations that change points; all others read. */
export const WRITE_NAMES: ReadonlySet<string> = new Set([
  'upsert',
  'update_vectors',
  'delete',
  'delete_vectors',
  'set_payload',
  'overwrite_payload',
  'delete_payload',
  'clear_payload',
  'batch',
]);

// A vector, or the id of a point that has one, or of none.
function example(draw: PointDraw, using: string): Json {
  return draw.oneIn(3) ? asked(draw, using) : draw.of(draw.ids);
}

function pairs(draw: PointDraw, using: string): JsonObject[] {
  return [{ positive: example(draw, using), negative: example(draw, using) }];
}

function byExample(draw: PointDraw, using: string): Json {
  switch (draw.below(4)) {
    case 0:
      return { nearest: example(draw, using) };
    case 1:
      return { recommend: recommendation(draw, using) };
    case 2:
      return { discover: { target: example(draw, using), context: pairs(draw, using) } };
    default:
      return { context: pairs(draw, using) };
  }
}

function recommendation(draw: PointDraw, using: string): JsonObject {
  return {
    positive: [example(draw, using), ...draw.some(1, () => example(draw, using))],
    negative: draw.some(2, () => example(draw, using)),
    strategy: draw.of(['average_vector', 'best_score', 'sum_scores']),
  };
}

// Averages are of dense vectors only.
const DENSE = ['', 'far'] as const;

function nested(draw: PointDraw): JsonObject {
  const using = draw.of(DENSE);
  const prefetch = { using, query: byExample(draw, using), filter: maybeFilter(draw), limit: 1 + draw.below(8) };
  return { prefetch: [prefetch, level(draw, 1)], query: { fusion: 'rrf' }, filter: maybeFilter(draw), limit: 20 };
}

function flat(draw: PointDraw): JsonObject {
  const using = draw.of(DENSE);
  const limit = 1 + draw.below(8);
  return {
    using,
    query: byExample(draw, using),
    filter: maybeFilter(draw),
    limit,
    offset: draw.oneIn(3) ? 1 : undefined,
  };
}

function shown(draw: PointDraw): JsonObject {
  return { with_payload: draw.oneIn(2), with_vector: draw.oneIn(3) };
}

function search(draw: PointDraw): JsonObject {
  const name = draw.of(VECTOR_NAMES);
  return {
    vector: { name, vector: asked(draw, name) },
    filter: maybeFilter(draw),
    limit: 1 + draw.below(8),
    ...shown(draw),
  };
}

const SERVED: readonly ((draw: PointDraw) => Operation)[] = [
  (draw) => ({ op: 'retrieve_one', body: { id: draw.of(draw.ids) } }),
  (draw) => ({ op: 'query', body: { ...flat(draw), ...shown(draw) } }),
  (draw) => ({ op: 'query', body: nested(draw) }),
  (draw) => ({
    op: 'query_batch',
    body: { searches: [flat(draw), level(draw, 1), ...draw.some(1, () => nested(draw))] },
  }),
  (draw) => {
    const groups = { group_by: draw.of(['word', 'number']), group_size: 1 + draw.below(3), limit: 1 + draw.below(4) };
    return { op: 'query_groups', body: { ...flat(draw), offset: undefined, ...groups } };
  },
  (draw) => ({ op: 'search', body: search(draw) }),
  (draw) => {
    const using = draw.of(DENSE);
    return { op: 'recommend', body: { ...recommendation(draw, using), using, filter: maybeFilter(draw), limit: 5 } };
  },
  (draw) => {
    const using = draw.of(DENSE);
    const target = example(draw, using);
    return {
      op: 'discover',
      body: { target, context: pairs(draw, using), using, filter: maybeFilter(draw), limit: 5 },
    };
  },
  (draw) => {
    const body = {
      using: draw.of(DENSE),
      sample: 2 + draw.below(8),
      limit: 1 + draw.below(3),
      filter: maybeFilter(draw),
    };
    return { op: draw.of(['matrix_pairs', 'matrix_offsets']), body };
  },
];

function batch(draw: PointDraw): Operation {
  const operations = [0, ...draw.some(2, () => 0)].map(() => {
    const { op, body } = draw.of(WRITES)(draw);
    return { [op]: body };
  });
  return { op: 'batch', body: { operations } };
}

/** A random operation of one tenant, over either protocol. */
export function tenantOperation(draw: PointDraw): TenantOperation {
  const make = draw.oneIn(12) ? batch : draw.of(draw.oneIn(3) ? WRITES : draw.oneIn(2) ? SERVED : READS);
  return { ...make(draw), protocol: draw.of(['rest', 'grpc']) };
}

/** The points a tenant has at first. */
export function firstPoints(draw: PointDraw): TenantOperation {
  const ids = new Set([...someIds(draw), ...someIds(draw), ...someIds(draw)]);
  const points = [...ids].map((id) => ({ ...pointOf(draw), id }));
  return { op: 'upsert', body: { points }, protocol: draw.of(['rest', 'grpc']) };
}

function pointOf(draw: PointDraw): JsonObject {
  const made = WRITES[0]?.(draw).body.points;
  const [first] = Array.isArray(made) ? made : [];
  return first as JsonObject;
}

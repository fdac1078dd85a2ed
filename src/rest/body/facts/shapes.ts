import type { Counter, PartKind, Slot } from '../../../policy/search/facts.ts';

/** The meaning of a member of a request body. Members without a rule have none here. */
export type Rule =
  /** A whole number; `field`: the member that this is another name of. */
  | { readonly kind: 'number'; readonly slot: Slot; readonly field?: string }
  /** Any number. */
  | { readonly kind: 'float'; readonly slot: Slot }
  | { readonly kind: 'exact' }
  /** An array whose items are counted; `loose`: any other value counts as one. */
  | { readonly kind: 'items'; readonly counter: Counter; readonly loose: boolean }
  /** `selects`: points that are to be changed. */
  | { readonly kind: 'filter'; readonly selects: boolean }
  /** Counts as one, whatever it is. */
  | { readonly kind: 'one'; readonly counter: Counter }
  /** An object with members of the same part; `named`: or a text. */
  | { readonly kind: 'inside'; readonly shape: Shape; readonly named: boolean }
  /** The same, or a vector or an id. The part has a query. */
  | { readonly kind: 'query'; readonly shape: Shape }
  | { readonly kind: 'formula' }
  /** One object, or an array of objects, each of which is a part. */
  | { readonly kind: 'parts'; readonly part: PartKind; readonly shape: () => Shape };

export type Shape = ReadonlyMap<string, Rule>;

/** A whole body. */
export interface BodyForm {
  readonly part: PartKind;
  readonly shape: Shape;
}

const number = (slot: Slot): Rule => ({ kind: 'number', slot });
const items = (counter: Counter): Rule => ({ kind: 'items', counter, loose: false });
const some = (counter: Counter): Rule => ({ kind: 'items', counter, loose: true });
const one = (counter: Counter): Rule => ({ kind: 'one', counter });
const inside = (members: Readonly<Record<string, Rule>>, named = false): Rule => ({
  ...{ kind: 'inside', shape: shapeOf(members), named },
});
const batch = (member: string, { part, shape }: BodyForm): BodyForm => ({
  part: 'points',
  shape: shapeOf({ [member]: { kind: 'parts', part, shape: () => shape } }),
});

function shapeOf(members: Readonly<Record<string, Rule>>): Shape {
  return new Map(Object.entries(members));
}

const FILTER: Rule = { kind: 'filter', selects: false };
const SELECTOR = { points: items('points'), filter: { kind: 'filter', selects: true } } as const;

/** Members are those of Qdrant v1.20.0; older releases have fewer. */
const COMMON = {
  filter: FILTER,
  params: inside({
    hnsw_ef: number('ef'),
    exact: { kind: 'exact' },
    quantization: inside({ oversampling: { kind: 'float', slot: 'oversampling' } }),
    idf: inside({ corpus: FILTER }, true),
  }),
} as const;

const LIMITED = { ...COMMON, limit: number('limit'), offset: number('offset') } as const;
const GROUPED = { ...COMMON, limit: number('limit'), group_size: number('groupSize') } as const;
/** Upstream: searches, recommendations and discoveries take `top` for `limit` (Qdrant v1.20.0). */
const TOP = { ...LIMITED, top: { kind: 'number', slot: 'limit', field: 'limit' } } as const;
const EXAMPLES = { positive: items('examples'), negative: items('examples') } as const;

const QUERY: Rule = {
  kind: 'query',
  shape: shapeOf({
    mmr: inside({ candidates_limit: number('candidates') }),
    recommend: inside(EXAMPLES),
    discover: inside({ target: one('examples'), context: some('examples') }),
    context: some('examples'),
    relevance_feedback: inside({ target: one('examples'), feedback: items('examples') }),
    formula: { kind: 'formula' },
  }),
};

const PREFETCH: Rule = { kind: 'parts', part: 'query', shape: () => PREFETCHED };
const QUERIED = { prefetch: PREFETCH, query: QUERY } as const;
const PREFETCHED = shapeOf({ ...LIMITED, ...QUERIED });

const UPSERT = { points: items('points'), batch: inside({ ids: items('points') }), update_filter: FILTER } as const;
const VECTORS = { points: items('points'), update_filter: FILTER } as const;

const SEARCH: BodyForm = { part: 'search', shape: shapeOf(TOP) };
const RECOMMEND: BodyForm = { part: 'search', shape: shapeOf({ ...TOP, ...EXAMPLES }) };
const DISCOVER: BodyForm = {
  part: 'search',
  shape: shapeOf({ ...TOP, target: one('examples'), context: some('examples') }),
};
const QUERY_POINTS: BodyForm = { part: 'query', shape: PREFETCHED };
const MATRIX: BodyForm = {
  part: 'matrix',
  shape: shapeOf({ filter: FILTER, sample: number('sample'), limit: number('limit') }),
};
const GET: BodyForm = { part: 'points', shape: shapeOf({ ids: items('points') }) };
const SCROLL: BodyForm = { part: 'scroll', shape: shapeOf({ filter: FILTER, limit: number('limit') }) };
const COUNT: BodyForm = { part: 'count', shape: shapeOf({ filter: FILTER, exact: { kind: 'exact' } }) };
const CHANGE: BodyForm = { part: 'points', shape: shapeOf(SELECTOR) };

/** One operation of a batch of changes. */
const OPERATION: BodyForm = {
  part: 'points',
  shape: shapeOf({
    upsert: inside(UPSERT),
    delete: inside(SELECTOR),
    set_payload: inside(SELECTOR),
    overwrite_payload: inside(SELECTOR),
    delete_payload: inside(SELECTOR),
    clear_payload: inside(SELECTOR),
    update_vectors: inside(VECTORS),
    delete_vectors: inside(SELECTOR),
  }),
};

/** The body of each operation with numbers, by the name of its row. */
export const BODY_FORMS: Readonly<Record<string, BodyForm>> = {
  'points.search': SEARCH,
  'points.search_batch': batch('searches', SEARCH),
  'points.search_groups': { part: 'groups', shape: shapeOf(GROUPED) },
  'points.search_matrix_pairs': MATRIX,
  'points.search_matrix_offsets': MATRIX,
  'points.recommend': RECOMMEND,
  'points.recommend_batch': batch('searches', RECOMMEND),
  'points.recommend_groups': { part: 'groups', shape: shapeOf({ ...GROUPED, ...EXAMPLES }) },
  'points.discover': DISCOVER,
  'points.discover_batch': batch('searches', DISCOVER),
  'points.query': QUERY_POINTS,
  'points.query_batch': batch('searches', QUERY_POINTS),
  'points.query_groups': { part: 'query-groups', shape: shapeOf({ ...GROUPED, ...QUERIED }) },
  'points.get': GET,
  'local_shard.get': GET,
  'points.scroll': SCROLL,
  'local_shard.scroll': SCROLL,
  'points.count': COUNT,
  'local_shard.count': COUNT,
  'points.facet': {
    part: 'facet',
    shape: shapeOf({ filter: FILTER, limit: number('limit'), exact: { kind: 'exact' } }),
  },
  'points.upsert': { part: 'points', shape: shapeOf(UPSERT) },
  'points.update_vectors': { part: 'points', shape: shapeOf(VECTORS) },
  'points.delete': CHANGE,
  'points.delete_vectors': CHANGE,
  'points.set_payload': CHANGE,
  'points.overwrite_payload': CHANGE,
  'points.delete_payload': CHANGE,
  'points.clear_payload': CHANGE,
  'points.batch': batch('operations', OPERATION),
};

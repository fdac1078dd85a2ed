import {
  any,
  bool,
  count,
  type Fact,
  integer,
  isObject,
  list,
  type Member,
  map,
  number,
  oneOrMany,
  option,
  path,
  pointId,
  string,
  struct,
  type Type,
  untagged,
} from './serde.ts';

/*
 * The types of upstream's REST requests that tenants send, with their untagged enums in upstream's order: Qdrant v1.19.0
 * (`lib/api/src/rest/schema.rs`, `lib/segment/src/types.rs`, `lib/segment/src/data_types/order_by.rs`, `src/common/update.rs`),
 * and what the schemas of v1.20.0 add: the query of texts, a match, three expressions.
 */

export const optional = (type: Type): Member => [option(type), 'optional'];
/** One member, which must be there. */
export const only = (name: string, type: Type): Type => struct({ [name]: [type] });

export const u32 = integer(0, 4_294_967_295);
export const dense = list(number);
export const sparse = struct({ indices: [list(u32)], values: [list(number)] });
const multi = list(dense);

const MODEL_OPTIONS: Member = [map(any), 'optional'];
const document = struct({
  text: [string],
  model: [string],
  options: optional(untagged('DocumentOptions', { Common: map(any) })),
});
const image = struct({ image: [any], model: [string], options: MODEL_OPTIONS }, { isFlat: true });
const inference = struct({ object: [any], model: [string], options: MODEL_OPTIONS }, { isFlat: true });

export const vectorInput = untagged('VectorInput', {
  DenseVector: dense,
  SparseVector: sparse,
  MultiDenseVector: multi,
  Id: pointId,
  Document: document,
  Image: image,
  Object: inference,
});

export const recommendExample = untagged('RecommendExample', { PointId: pointId, Dense: dense, Sparse: sparse });
export const namedVector = untagged('NamedVectorStruct', {
  Default: dense,
  Dense: struct({ name: [string], vector: [dense] }),
  Sparse: struct({ name: [string], vector: [sparse] }),
});

const bounds = (type: Type): Type =>
  struct({ lt: optional(type), gt: optional(type), gte: optional(type), lte: optional(type) });
export const datetime: Type = (value) => (typeof value === 'string' && /^\d{4}-\d\d-\d\d/.test(value) ? [] : undefined);
export const geoPoint = struct({ lon: [number], lat: [number] });
const line = struct({ points: [list(geoPoint)] });
const anyOf = untagged('AnyVariants', { Strings: list(string), Integers: list(integer(-1e15, 1e15)) });
export const i64 = integer(-1e15, 1e15);

export const match = untagged('Match', {
  Value: only('value', untagged('ValueVariants', { String: string, Integer: i64, Bool: bool })),
  Text: only('text', string),
  TextAny: only('text_any', string),
  Phrase: only('phrase', string),
  Prefix: only('prefix', string),
  Substring: only('substring', string),
  Any: only('any', anyOf),
  Except: only('except', anyOf),
});

const fieldCondition = struct({
  key: [path],
  match: optional(match),
  range: optional(untagged('Range', { Float: bounds(number), DateTime: bounds(datetime) })),
  geo_bounding_box: optional(struct({ top_left: [geoPoint], bottom_right: [geoPoint] })),
  geo_radius: optional(struct({ center: [geoPoint], radius: [number] })),
  geo_polygon: optional(struct({ exterior: [line], interiors: optional(list(line)) })),
  values_count: optional(bounds(count)),
  is_empty: optional(bool),
  is_null: optional(bool),
});

export const lazy =
  (type: () => Type): Type =>
  (value) =>
    type()(value);
const conditions: Member = [lazy(() => oneOrMany(condition)), 'optional'];

export const filter = struct(
  {
    should: conditions,
    min_should: optional(struct({ conditions: [list(lazy(() => condition))], min_count: [count] })),
    must: conditions,
    must_not: conditions,
  },
  { isExact: true },
);

/** Paths inside begin at the objects of the array. */
const nested: Type = (value) => {
  const facts = struct({ key: [path], filter: [filter] })(value);
  const key = isObject(value) ? value.key : undefined;
  return facts?.map(
    (fact): Fact => (fact.kind === 'field' && fact.name !== key ? { ...fact, name: `${key}.${fact.name}` } : fact),
  );
};

/** Ids in a filter are not looked up. */
export const withoutIds =
  (type: Type): Type =>
  (value) =>
    type(value)?.filter(({ kind }) => kind !== 'id');

const conditionForms: Type = untagged('Condition', {
  Field: fieldCondition,
  IsEmpty: only('is_empty', only('key', path)),
  IsNull: only('is_null', only('key', path)),
  HasId: only('has_id', withoutIds(list(pointId))),
  HasVector: only('has_vector', string),
  Slice: only('slice', struct({ total: [integer(1, 4_294_967_295)], index: [u32] })),
  Nested: only('nested', nested),
  Filter: filter,
});

/** An object with `key` is a condition on a field, or none. */
export const condition: Type = (value) =>
  isObject(value) && 'key' in value ? untagged('Condition', { Field: fieldCondition })(value) : conditionForms(value);

import { Fault, wrongInput } from './fault.ts';
import { passes } from './filter.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, textOf } from './json.ts';
import { leavesAt, onlyPaths, withoutPaths } from './paths.ts';
import { type Collection, comparePointIds, type Point, type PointId, pointIdOf, type Store } from './store.ts';
import { vectorsJson } from './vectors.ts';

/** The members a read request chooses: payload (all, none, include, exclude) and vectors (all, none, names). */
export type Selection = { payload: Json | undefined; vectors: Json | undefined };

/** The selection a body asks for; payload is shown by default where `payload` says so. */
export function selectionOf(body: JsonObject, payload: boolean): Selection {
  return { payload: body.with_payload ?? payload, vectors: body.with_vector ?? body.with_vectors ?? false };
}

/** A point as retrieval shows it. */
export function recordJson(point: Point, selection: Selection): JsonObject {
  const record: JsonObject = { id: point.id };
  if (selection.payload !== false) {
    record.payload = chosenPayload(point.payload, selection.payload);
  }
  if (selection.vectors !== false) {
    const names = Array.isArray(selection.vectors) ? selection.vectors : undefined;
    const chosen = [...point.vectors].filter(([name]) => names === undefined || names.includes(name));
    record.vector = vectorsJson(new Map(chosen));
  }
  return record;
}

function chosenPayload(payload: JsonObject, choice: Json | undefined): Json {
  const paths = (value: Json | undefined): string[] => listOf(value).map((path) => textOf(path) ?? '');
  if (Array.isArray(choice)) {
    return onlyPaths(payload, paths(choice));
  }
  if (isObject(choice)) {
    return choice.include === undefined
      ? withoutPaths(payload, paths(choice.exclude))
      : onlyPaths(payload, paths(choice.include));
  }
  return payload;
}

/** The points of the given ids, in the order asked and each once; unknown ones are left out. */
export function retrieve(store: Store, name: string, body: JsonObject): Json {
  const collection = store.find(name);
  // Upstream: v1.19.0 shows no payload unless asked, whatever its description says.
  const selection = selectionOf(body, false);
  const ids = new Set(listOf(body.ids).map(pointIdOf));
  return [...ids].flatMap((id) => {
    const point = collection.points.get(id);
    return point === undefined ? [] : [recordJson(point, selection)];
  });
}

/** One point; throws the 404 fault. */
export function retrieveOne(store: Store, name: string, id: PointId): Json {
  const point = store.find(name).points.get(id);
  if (point === undefined) {
    throw new Fault('not-found', `Not found: Point with id ${id} does not exists!`);
  }
  return recordJson(point, { payload: true, vectors: true });
}

/** A page of points in id order, or in the order of a payload key. */
export function scroll(store: Store, name: string, body: JsonObject): JsonObject {
  const collection = store.find(name);
  const limit = positive(body.limit, 10, 'limit');
  const selection = selectionOf(body, true);
  const points = matching(collection, body.filter);
  if (body.order_by !== undefined && body.order_by !== null) {
    const ordered = orderedBy(collection, points, body.order_by).slice(0, limit);
    const records = ordered.map(({ point, value }) => ({ ...recordJson(point, selection), order_value: value }));
    return { points: records, next_page_offset: null };
  }
  points.sort((a, b) => comparePointIds(a.id, b.id));
  const offset = body.offset;
  const start = offset === undefined || offset === null ? undefined : pointIdOf(offset);
  const rest = start === undefined ? points : points.filter((point) => comparePointIds(point.id, start) >= 0);
  const page = rest.slice(0, limit).map((point) => recordJson(point, selection));
  return { points: page, next_page_offset: rest[limit]?.id ?? null };
}

function matching(collection: Collection, filter: Json | undefined): Point[] {
  return [...collection.points.values()].filter((point) => passes(point, filter, collection.indexes));
}

const SEE =
  'Check https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload schemas support';

/** The type of the index on a field, or undefined. */
function indexType(collection: Collection, key: string): string | undefined {
  const schema = collection.indexes.get(key);
  return textOf(isObject(schema) ? schema.type : schema);
}

/** Points once for each number (or date) they have under the key, in its order; refuses a key without a range index. */
export function orderedBy(collection: Collection, points: Point[], orderBy: Json): { point: Point; value: number }[] {
  const order = isObject(orderBy) ? orderBy : { key: orderBy };
  const key = textOf(order.key) ?? '';
  const type = indexType(collection, key);
  if (type !== 'integer' && type !== 'float' && type !== 'datetime') {
    throw wrongInput(
      `No range index for \`order_by\` key: \`${key}\`. Please create one to use \`order_by\`. ${SEE} Range conditions`,
    );
  }
  const sign = textOf(order.direction)?.toLowerCase() === 'desc' ? -1 : 1;
  const from = order.start_from;
  const start = from === undefined || from === null ? undefined : sortable(from, type === 'integer' ? 'float' : type);
  return points
    .flatMap((point) =>
      leavesAt(point.payload, key).flatMap((leaf) => {
        const value = sortable(leaf, type);
        return value === undefined ? [] : [{ point, value }];
      }),
    )
    .filter(({ value }) => start === undefined || (value - start) * sign >= 0)
    .sort((a, b) => (a.value - b.value || comparePointIds(a.point.id, b.point.id)) * sign);
}

function sortable(value: Json, type: string): number | undefined {
  if (type === 'datetime') {
    const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    return Number.isNaN(time) ? undefined : time;
  }
  const number = numberOf(value, Number.NaN);
  const fits = type === 'float' ? !Number.isNaN(number) : Number.isInteger(number);
  return fits ? number : undefined;
}

/** The number of points that pass the filter. */
export function count(store: Store, name: string, body: JsonObject): JsonObject {
  return { count: matching(store.find(name), body.filter).length };
}

const FACETED: Readonly<Record<string, (value: Json) => boolean>> = {
  keyword: (value) => typeof value === 'string',
  uuid: (value) => typeof value === 'string' && /^[0-9a-f-]{32,36}$/i.test(value),
  integer: (value) => typeof value === 'bigint' || Number.isInteger(value),
  bool: (value) => typeof value === 'boolean',
};

/** In how many points each value of a payload key occurs, most frequent first; refuses a key without an index of values. */
export function facet(store: Store, name: string, body: JsonObject): JsonObject {
  const collection = store.find(name);
  const limit = positive(body.limit, 10, 'limit');
  const key = textOf(body.key) ?? '';
  const isFaceted = FACETED[indexType(collection, key) ?? ''];
  if (isFaceted === undefined) {
    throw wrongInput(
      `No appropriate index for faceting: \`${key}\`. Please create one to facet on this field. ${SEE} Match conditions`,
    );
  }
  const counts = new Map<Json, number>();
  for (const point of matching(collection, body.filter)) {
    for (const value of new Set(leavesAt(point.payload, key).filter(isFaceted))) {
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  const hits = [...counts].sort(([one, a], [other, b]) => b - a || (isBefore(one, other) ? -1 : 1));
  return { hits: hits.slice(0, limit).map(([value, number]) => ({ value, count: number })) };
}

function isBefore(one: Json, other: Json): boolean {
  return typeof one === 'string' || typeof other === 'string'
    ? Buffer.compare(Buffer.from(String(one)), Buffer.from(String(other))) < 0
    : Number(one) < Number(other);
}

/** A positive integer of the body, or the default; 0 is refused as Qdrant does (422). */
export function positive(value: Json | undefined, otherwise: number, field: string): number {
  const number = numberOf(value, otherwise);
  if (number < 1) {
    const text = `Validation error in JSON body: [${field}: value ${number} invalid, must be 1 or larger]`;
    throw new Fault('unprocessable', text);
  }
  return number;
}

import { Fault } from './fault.ts';
import { passes } from './filter.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, textOf } from './json.ts';
import { leavesAt, onlyPaths, withoutPath } from './paths.ts';
import { comparePointIds, type Point, type PointId, pointIdOf, type Store } from './store.ts';
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

function chosenPayload(payload: JsonObject, choice: Json | undefined): JsonObject {
  const paths = (value: Json | undefined): string[] => listOf(value).map((path) => textOf(path) ?? '');
  if (Array.isArray(choice)) {
    return onlyPaths(payload, paths(choice));
  }
  if (isObject(choice)) {
    return choice.include === undefined
      ? paths(choice.exclude).reduce(withoutPath, payload)
      : onlyPaths(payload, paths(choice.include));
  }
  return payload;
}

/** The points of the given ids, in the order asked; unknown ones are left out. */
export function retrieve(store: Store, name: string, body: JsonObject): Json {
  const collection = store.find(name);
  const selection = selectionOf(body, true);
  return listOf(body.ids).flatMap((id) => {
    const point = collection.points.get(pointIdOf(id));
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
  const points = [...collection.points.values()].filter((point) => passes(point, body.filter));
  if (body.order_by !== undefined && body.order_by !== null) {
    const ordered = orderedBy(points, body.order_by).slice(0, limit);
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

/** Points that have a number (or date) under the key, in its order, each with that value. */
export function orderedBy(points: Point[], orderBy: Json): { point: Point; value: number }[] {
  const order = isObject(orderBy) ? orderBy : { key: orderBy };
  const sign = textOf(order.direction)?.toLowerCase() === 'desc' ? -1 : 1;
  const from = order.start_from;
  const start = from === undefined || from === null ? undefined : sortable(from);
  return points
    .flatMap((point) =>
      leavesAt(point.payload, textOf(order.key) ?? '').flatMap((leaf) => {
        const value = sortable(leaf);
        return value === undefined ? [] : [{ point, value }];
      }),
    )
    .filter(({ value }) => start === undefined || (value - start) * sign >= 0)
    .sort((a, b) => (a.value - b.value) * sign || comparePointIds(a.point.id, b.point.id));
}

function sortable(value: Json): number | undefined {
  const number = typeof value === 'string' ? Date.parse(value) : numberOf(value, Number.NaN);
  return Number.isNaN(number) ? undefined : number;
}

/** The number of points that pass the filter. */
export function count(store: Store, name: string, body: JsonObject): JsonObject {
  const collection = store.find(name);
  return { count: [...collection.points.values()].filter((point) => passes(point, body.filter)).length };
}

/** How often each value of a payload key occurs, most frequent first. */
export function facet(store: Store, name: string, body: JsonObject): JsonObject {
  const collection = store.find(name);
  const limit = positive(body.limit, 10, 'limit');
  const counts = new Map<Json, number>();
  for (const point of collection.points.values()) {
    const values = passes(point, body.filter) ? new Set(leavesAt(point.payload, textOf(body.key) ?? '')) : [];
    for (const value of values) {
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  const hits = [...counts].filter(([value]) => typeof value !== 'object').sort(([, a], [, b]) => b - a);
  return { hits: hits.slice(0, limit).map(([value, number]) => ({ value, count: number })) };
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

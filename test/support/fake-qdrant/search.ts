import { passes } from './filter.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, objectOf, shortFloat, textOf } from './json.ts';
import { leavesAt } from './paths.ts';
import { type Hit, runQuery } from './query.ts';
import { checkIds, levelOf, levelsOf } from './query-inputs.ts';
import { positive, recordJson, type Selection, selectionOf } from './retrieval.ts';
import { comparePointIds, denseParams, hasSparse, pointIdOf, type Store, unknownVectorName } from './store.ts';
import { lowerIsBetter, similarity } from './vectors.ts';

/** The forms of a search: universal query and its forerunners. Each is brought into the form of points/query. */
export type SearchForm = 'query' | 'search' | 'recommend' | 'discover';

/** Hits of one search request in REST form (the list, without the `points` envelope of points/query). */
export function search(store: Store, name: string, form: SearchForm, body: JsonObject): Json[] {
  const collection = store.find(name);
  const limit = positive(body.limit, 10, 'limit');
  const offset = numberOf(body.offset, 0);
  const hits = runQuery(store, collection, universal(form, body), limit + offset);
  const selection = selectionOf(body, false);
  return hits.slice(offset, offset + limit).map((hit) => hitJson(hit, selection));
}

/** The answers of a batch, one list per request of `searches`. */
export function searchBatch(store: Store, name: string, form: SearchForm, body: JsonObject): Json[][] {
  const collection = store.find(name);
  const searches = listOf(body.searches).map(objectOf);
  // Upstream: the ids of all queries of a batch are looked up before any of them runs.
  if (form === 'query') {
    checkIds(searches.flatMap((one) => levelsOf(levelOf(store, collection, one))));
  }
  return searches.map((one) => search(store, name, form, one));
}

/** Hits in groups by a payload key, best group first, with looked-up points where `with_lookup` asks for them. */
export function searchGroups(store: Store, name: string, form: SearchForm, body: JsonObject): JsonObject {
  const collection = store.find(name);
  const limit = positive(body.limit, form === 'query' ? 10 : 3, 'limit');
  const size = positive(body.group_size, 3, 'group_size');
  const key = textOf(body.group_by) ?? '';
  const selection = selectionOf(body, false);
  const groups = new Map<Json, Json[]>();
  for (const hit of runQuery(store, collection, universal(form, body))) {
    for (const value of new Set(leavesAt(hit.point.payload, key))) {
      if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') {
        continue;
      }
      const group = groups.get(value) ?? [];
      groups.set(value, group);
      if (group.length < size) {
        group.push(hitJson(hit, selection));
      }
    }
  }
  const lookup = groupLookup(store, body.with_lookup);
  return { groups: [...groups].slice(0, limit).map(([id, hits]) => ({ id, hits, lookup: lookup(id) })) };
}

function groupLookup(store: Store, withLookup: Json | undefined): (id: Json) => Json | undefined {
  if (withLookup === undefined || withLookup === null) {
    return () => undefined;
  }
  const request = isObject(withLookup) ? withLookup : { collection: withLookup };
  const collection = store.find(textOf(request.collection) ?? '');
  const selection = selectionOf(request, true);
  return (id) => {
    const isPointId = typeof id !== 'string' || /^[0-9a-f-]{32,36}$/i.test(id);
    const point = isPointId ? collection.points.get(pointIdOf(id)) : undefined;
    return point === undefined ? undefined : recordJson(point, selection);
  };
}

function hitJson(hit: Hit, selection: Selection): JsonObject {
  const { id, ...rest } = recordJson(hit.point, selection);
  return { id, version: hit.point.version, score: shortFloat(hit.score), ...rest, order_value: hit.orderValue };
}

/** A search of any form in the form of points/query. */
export function universal(form: SearchForm, body: JsonObject): JsonObject {
  const { vector, positive: good, negative: bad, target, context, strategy, using, ...rest } = body;
  if (form === 'query') {
    return body;
  }
  if (form === 'recommend') {
    return { ...rest, using: usingName(using), query: { recommend: { positive: good, negative: bad, strategy } } };
  }
  if (form === 'discover') {
    const pairs = listOf(context);
    const hasTarget = target !== undefined && target !== null;
    const query: JsonObject = hasTarget ? { discover: { target, context: pairs } } : { context: pairs };
    return { ...rest, using: usingName(using), query };
  }
  if (isObject(vector) && vector.name !== undefined) {
    return { ...rest, using: vector.name, query: { nearest: vector.vector } };
  }
  return { ...rest, query: { nearest: vector ?? null } };
}

function usingName(using: Json | undefined): Json | undefined {
  return isObject(using) ? using.name : using;
}

type Pair = { a: number; b: number; score: number };

// Upstream: only points that have the vector, by id; with fewer than two of them there is no matrix.
function matrix(store: Store, name: string, body: JsonObject): { ids: Json[]; pairs: Pair[] } {
  const collection = store.find(name);
  const using = textOf(body.using) ?? '';
  const sample = positive(body.sample, 10, 'sample');
  const limit = positive(body.limit, 3, 'limit');
  const distance = denseParams(collection, using)?.distance ?? 'Dot';
  if (denseParams(collection, using) === undefined && !hasSparse(collection, using)) {
    throw unknownVectorName(using);
  }
  const points = [...collection.points.values()]
    .filter((point) => point.vectors.has(using) && passes(point, body.filter, collection.indexes))
    .sort((a, b) => comparePointIds(a.id, b.id))
    .slice(0, sample);
  if (points.length < 2) {
    return { ids: [], pairs: [] };
  }
  const sign = lowerIsBetter(distance) ? -1 : 1;
  const pairs = points.flatMap((point, a) => {
    const vector = point.vectors.get(using) ?? [];
    const row = points.flatMap((other, b) => {
      const score = a === b ? undefined : similarity(distance, vector, other.vectors.get(using) ?? []);
      return score === undefined ? [] : [{ a, b, score }];
    });
    return row.sort((x, y) => (y.score - x.score) * sign).slice(0, limit);
  });
  return { ids: points.map((point) => point.id), pairs };
}

/** Distance matrix as pairs of ids. */
export function matrixPairs(store: Store, name: string, body: JsonObject): JsonObject {
  const { ids, pairs } = matrix(store, name, body);
  return { pairs: pairs.map(({ a, b, score }) => ({ a: ids[a] ?? null, b: ids[b] ?? null, score })) };
}

/** Distance matrix as offsets into a list of ids. */
export function matrixOffsets(store: Store, name: string, body: JsonObject): JsonObject {
  const { ids, pairs } = matrix(store, name, body);
  return {
    offsets_row: pairs.map((pair) => pair.a),
    offsets_col: pairs.map((pair) => pair.b),
    scores: pairs.map((pair) => pair.score),
    ids,
  };
}

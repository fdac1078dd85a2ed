import { badRequest, Fault, missingPoint } from './fault.ts';
import { isObject, type Json, type JsonObject, listOf, objectOf, textOf } from './json.ts';
import {
  type Collection,
  denseParams,
  hasSparse,
  type PointId,
  pointIdOf,
  type Store,
  unknownVectorName,
  type Vector,
} from './store.ts';
import { checkedVector, rowsOf } from './vectors.ts';

/** One level of a query: its body (the request's, or that of a prefetch) and the vector name it uses. */
export type Level = { store: Store; collection: Collection; body: JsonObject; using: string };

/** Reads a level. */
export function levelOf(store: Store, collection: Collection, body: JsonObject): Level {
  return { store, collection, body, using: textOf(body.using) ?? '' };
}

/** The level and those of its prefetches, at any depth. */
export function levelsOf(level: Level): Level[] {
  const inner = listOf(level.body.prefetch).map((body) => levelOf(level.store, level.collection, objectOf(body)));
  return [level, ...inner.flatMap(levelsOf)];
}

/** The parts of a query's body that can name a point or give a vector. */
export type Inputs = { target: Json[]; positive: Json[]; negative: Json[]; pairs: Json[] };

const NONE: Inputs = { target: [], positive: [], negative: [], pairs: [] };

/** What a query asks with. A bare value is the target of the nearest. */
export function inputsOf(query: Json | undefined): Inputs {
  if (query === undefined || query === null) {
    return NONE;
  }
  if (!isObject(query) || Array.isArray(query.indices)) {
    return { ...NONE, target: [query] };
  }
  if (query.nearest !== undefined) {
    return { ...NONE, target: [query.nearest] };
  }
  if (isObject(query.recommend)) {
    const { positive, negative } = query.recommend;
    return { ...NONE, positive: examples(positive), negative: examples(negative) };
  }
  if (isObject(query.discover)) {
    return { ...NONE, target: [query.discover.target ?? null], pairs: pairsOf(query.discover.context) };
  }
  if (query.context !== undefined) {
    return { ...NONE, pairs: pairsOf(query.context) };
  }
  if (isObject(query.relevance_feedback)) {
    const { target, feedback } = query.relevance_feedback;
    return { ...NONE, target: [target ?? null], pairs: listOf(feedback).map((item) => objectOf(item).example ?? null) };
  }
  return NONE;
}

// A list of numbers is a list of ids here, and a list of lists one of vectors.
function examples(value: Json | undefined): Json[] {
  return listOf(value);
}

function pairsOf(context: Json | undefined): Json[] {
  return listOf(context).flatMap((pair) => [objectOf(pair).positive ?? null, objectOf(pair).negative ?? null]);
}

/** The ids a level names, and the collection they are looked up in. */
export function idsOf(level: Level): { ids: PointId[]; collection: Collection } {
  const { target, positive, negative, pairs } = inputsOf(level.body.query);
  const ids = [...target, ...pairs, ...positive, ...negative].filter(isId).map(pointIdOf);
  return { ids, collection: lookupOf(level).collection };
}

function isId(input: Json): boolean {
  return typeof input === 'number' || typeof input === 'bigint' || typeof input === 'string';
}

/** Refuses ids that are not there. Upstream: those of all levels are looked up before anything else, without any filter. */
export function checkIds(levels: readonly Level[]): void {
  for (const level of levels) {
    const { ids, collection } = idsOf(level);
    const missing = ids.find((id) => !collection.points.has(id));
    if (missing !== undefined) {
      throw missingPoint(missing);
    }
  }
}

/** The vector of an input: an id stands for a point of this collection, or of the one `lookup_from` names. */
export function vectorOfInput(level: Level, input: Json): Vector {
  if (!isId(input)) {
    return queryVector(level, input);
  }
  const lookup = lookupOf(level);
  const id = pointIdOf(input);
  const point = lookup.collection.points.get(id);
  if (point === undefined) {
    throw missingPoint(id);
  }
  const vector = point.vectors.get(lookup.vector);
  if (vector === undefined) {
    throw new Fault('not-found', `Not found: Vector with name ${JSON.stringify(lookup.vector)} for point not found`);
  }
  return vector;
}

function lookupOf({ store, collection, body, using }: Level): { collection: Collection; vector: string } {
  const lookup = body.lookup_from;
  if (!isObject(lookup)) {
    return { collection, vector: using };
  }
  return { collection: store.find(textOf(lookup.collection) ?? ''), vector: textOf(lookup.vector) ?? using };
}

function queryVector({ collection, using }: Level, input: Json): Vector {
  if (denseParams(collection, using) === undefined && !hasSparse(collection, using)) {
    throw unknownVectorName(using);
  }
  const vector = checkedVector(collection, using, input);
  return 'indices' in vector ? vector : (rowsOf(vector) as number[][]);
}

/** Refuses what upstream refuses of the levels' members together (v1.19.0, `CollectionQueryRequest::validation`). */
export function checkLevels(levels: readonly Level[]): void {
  for (const { body, using } of levels) {
    const isBare = body.query === undefined || body.query === null;
    const query = isObject(body.query) ? body.query : {};
    if (isBare && listOf(body.prefetch).length > 0) {
      throw badRequest("A query is needed to merge the prefetches. Can't have prefetches without defining a query.");
    }
    if (body.score_threshold !== undefined && body.score_threshold !== null) {
      if (isBare) {
        throw badRequest(
          "A query is needed to use the score_threshold. Can't have score_threshold without defining a query.",
        );
      }
      if (query.order_by !== undefined) {
        throw badRequest("Can't use score_threshold with an order_by query.");
      }
    }
    if ((query.fusion !== undefined || query.rrf !== undefined) && using !== '') {
      throw badRequest("Fusion queries cannot be combined with the 'using' field.");
    }
  }
}

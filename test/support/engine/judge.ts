import { isDeepStrictEqual } from 'node:util';
import { createCollection } from '../fake-qdrant/collections.ts';
import { Fault } from '../fake-qdrant/fault.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, writeJson } from '../fake-qdrant/json.ts';
import { createIndex, write } from '../fake-qdrant/points.ts';
import { count, facet, retrieve, scroll } from '../fake-qdrant/retrieval.ts';
import { search } from '../fake-qdrant/search.ts';
import { Store } from '../fake-qdrant/store.ts';
import type { Answer, Engine } from './engine.ts';
import { beginning, type Operation, operation } from './operations.ts';
import { COLLECTION, INDEXES, PointDraw } from './points.ts';

/*
 * What is left out of the comparison, and why:
 *
 * - `match: {value: true}`: the engine's Python binding makes the integer 1 of it. The client's local mode judges it (`local.ts`).
 * - counts that are not exact: estimates from the statistics of all points.
 * - ranks among the same scores, and so a fusion of such lists; `average_vector`, ids in queries, groups and matrices: the server's
 *   part, which the engine does not have. The local mode judges ids and averages.
 * - IDF without a corpus: deleted vectors count until the next optimisation.
 * - a list that holds `null` (is it null?) and texts without a text index (by words or as they are): the engine is of a later state
 *   than the release the stand-in follows, whose source decides.
 * - `null` in set_payload where a payload was cleared before: kept then, and a removal at any other time.
 * - several checks on one indexed field, and `min_should` without conditions: the answer depends on the plan.
 */

const NAME = 'judged';
const TENANT: JsonObject = { key: 'word', match: { value: 'a' } };

/** What a comparison found: how many operations were asked of both, and how many of them both refused. */
export type Tally = { asked: number; refused: number; found: number };

/** Where the stand-in and the engine differ. */
export class Difference extends Error {}

const EVERYTHING: Operation = { op: 'scroll', body: { limit: 100, with_payload: true, with_vector: true } };

/** Asks `length` random operations of an empty stand-in and of the engine; throws the first Difference. */
export async function compareSequence(engine: Engine, seed: number, length: number, tally: Tally): Promise<void> {
  const draw = new PointDraw({ seed, length: Number.POSITIVE_INFINITY });
  const store = new Store();
  createCollection(store, NAME, COLLECTION);
  const past: Operation[] = [];
  await engine.ask('create', { ...COLLECTION, indexed: INDEXES.map(({ field_name }) => field_name ?? null) });
  for (const index of draw.oneIn(4) ? [] : INDEXES) {
    createIndex(store, NAME, index);
    await engine.ask('index', index);
  }
  for (let at = 0; at <= length; at += 1) {
    const next = at === 0 ? beginning(draw) : operation(draw);
    past.push(next);
    const judged = await engine.ask(next.op, next.body);
    const own = standIn(store, next);
    tally.asked += 1;
    if ('error' in judged) tally.refused += 1;
    else if (!isObject(judged.ok) || listOf(judged.ok.points).length > 0) tally.found += 1;
    report(seed, past, next, judged, own);
    if (next.op === 'count' && isObject(next.body.filter)) await checkBound(engine, seed, past, next.body.filter);
    if (!READS.has(next.op)) {
      report(seed, past, EVERYTHING, await engine.ask(EVERYTHING.op, EVERYTHING.body), standIn(store, EVERYTHING));
    }
  }
}

/** A condition in `must` bounds what any filter finds, whether the filter stands beside it or its own lists do. */
async function checkBound(engine: Engine, seed: number, past: readonly Operation[], filter: JsonObject): Promise<void> {
  const found = async (asked: JsonObject): Promise<Json[]> => {
    const answer = await engine.ask('scroll', { filter: asked, limit: 100, with_payload: false, with_vector: false });
    const points = 'ok' in answer && isObject(answer.ok) ? listOf(answer.ok.points) : [];
    return points.map((point) => (isObject(point) ? (point.id ?? null) : null));
  };
  const own = new Set(await found({ must: [TENANT] }));
  const both = (await found(filter)).filter((id) => own.has(id));
  const nested: JsonObject = { must: [TENANT, filter] };
  const beside: JsonObject = { ...filter, must: [TENANT, ...listOf(filter.must)] };
  for (const asked of [nested, beside]) {
    report(seed, past, { op: 'scroll', body: { filter: asked } }, { ok: await found(asked) }, { ok: both });
  }
}

const READS = new Set(['count', 'scroll', 'retrieve', 'facet', 'query']);

function standIn(store: Store, { op, body }: Operation): Answer {
  try {
    return { ok: answer(store, op, body) };
  } catch (error) {
    if (!(error instanceof Fault) || error.kind === 'internal') throw error;
    return { error: error.message };
  }
}

function answer(store: Store, op: string, body: JsonObject): Json {
  switch (op) {
    case 'count':
      return count(store, NAME, body).count ?? null;
    case 'scroll':
      return scroll(store, NAME, body);
    case 'retrieve':
      return retrieve(store, NAME, body);
    case 'facet':
      return facet(store, NAME, body).hits ?? null;
    case 'query':
      return search(store, NAME, 'query', body);
    default:
      write(store, NAME, op, body, true);
      return null;
  }
}

function report(seed: number, past: readonly Operation[], asked: Operation, judged: Answer, own: Answer): void {
  if (isAlike(asked, judged, own)) return;
  const writes = past.filter(({ op }) => !READS.has(op)).map((one) => writeJson(one));
  throw new Difference(
    [
      `seed ${seed}, operation ${past.length - 1}: ${writeJson(asked)}`,
      `engine:   ${writeJson(judged)}`,
      `stand-in: ${writeJson(own)}`,
      'after:',
      ...writes,
    ].join('\n'),
  );
}

function isAlike({ op, body }: Operation, judged: Answer, own: Answer): boolean {
  if ('error' in judged || 'error' in own) {
    return 'error' in judged && 'error' in own && isSameFault(op, judged.error, own.error);
  }
  if (op === 'query') {
    return isSameRanking(listOf(judged.ok), listOf(own.ok), numberOf(body.limit, 10), 'score');
  }
  if (op === 'scroll' && body.order_by !== undefined && isObject(judged.ok) && isObject(own.ok)) {
    return isSameRanking(listOf(judged.ok.points), listOf(own.ok.points), numberOf(body.limit, 10), 'order_value');
  }
  // Upstream: without a filter, values that no point has any more stay in a facet with a count of 0.
  const kept = op === 'facet' && body.filter === undefined ? listOf(judged.ok).filter(hasPoints) : judged.ok;
  return isDeepStrictEqual(plain(kept), plain(own.ok));
}

function hasPoints(hit: Json): boolean {
  return isObject(hit) && hit.count !== 0;
}

// The words of missing points are compared; where an index is missing, the words are long and of the same source.
function isSameFault(op: string, judged: string, own: string): boolean {
  const id = /No point with id (\S+)/.exec(judged)?.[1];
  // Upstream: which of several missing points an update of vectors names is left to a hash.
  return (
    id === undefined || own.includes(op === 'update_vectors' ? 'No point with id ' : `No point with id ${id} found`)
  );
}

// Members that are undefined are not there, and numbers have one form.
function plain(value: Json): Json {
  return JSON.parse(writeJson(value), (_key, member: Json) =>
    typeof member === 'number' ? Math.fround(member) : member,
  ) as Json;
}

/** The same scores, and the same points wherever scores are the same; the last ones may have been cut. */
function isSameRanking(judged: Json[], own: Json[], limit: number, by: string): boolean {
  if (judged.length !== own.length) return false;
  const scores = (hits: Json[]): number[] => hits.map((hit) => numberOf(isObject(hit) ? hit[by] : undefined, 0));
  const [theirs, ours] = [scores(judged), scores(own)];
  if (!theirs.every((score, at) => isClose(score, ours[at] ?? Number.NaN))) return false;
  for (let begin = 0, end = 0; begin < judged.length; begin = end) {
    while (end < judged.length && isClose(theirs[begin] ?? 0, theirs[end] ?? 0)) end += 1;
    const ids = (hits: Json[]): string[] =>
      hits
        .slice(begin, end)
        .map((hit) => (isObject(hit) ? String(hit.id) : ''))
        .sort();
    const isCut = end === judged.length && end === limit;
    if (!isCut && !isDeepStrictEqual(ids(judged), ids(own))) return false;
  }
  return true;
}

function isClose(one: number, other: number): boolean {
  return Math.abs(one - other) <= 1e-4 * Math.max(1, Math.abs(one), Math.abs(other));
}

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { createCollection } from '../fake-qdrant/collections.ts';
import { isObject, type Json, type JsonObject, listOf, parseJson, writeJson } from '../fake-qdrant/json.ts';
import { write } from '../fake-qdrant/points.ts';
import { scroll } from '../fake-qdrant/retrieval.ts';
import { search } from '../fake-qdrant/search.ts';
import { Store } from '../fake-qdrant/store.ts';

/** The ids that each question finds: a filter (`filter` alone, ids ascending) or a query (best first). */
export type Found = readonly Json[][];

/** Asks the local mode of the official Python client. */
export function askLocal(python: string, points: Json[], questions: JsonObject[]): Found {
  const input = writeJson({ points, questions });
  const output = execFileSync(python, ['-W', 'ignore', join(import.meta.dirname, 'local.py')], { input });
  return parseJson(output.toString()) as Json[][];
}

/** Asks the stand-in the same. */
export function askStandIn(points: Json[], questions: JsonObject[]): Found {
  const store = new Store();
  createCollection(store, 'judged', { vectors: { size: 2, distance: 'Dot' } });
  write(store, 'judged', 'upsert', { points }, true);
  const isQuery = (body: JsonObject): boolean => body.query !== undefined || body.prefetch !== undefined;
  return questions.map((body) => {
    const found = isQuery(body) ? search(store, 'judged', 'query', body) : listOf(scroll(store, 'judged', body).points);
    return found.map((hit) => (isObject(hit) ? (hit.id ?? null) : null));
  });
}

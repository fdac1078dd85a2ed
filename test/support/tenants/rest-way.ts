import { type Json, type JsonObject, parseJson, writeJson } from '../fake-qdrant/json.ts';
import type { Reply, Target } from './ways.ts';
import { sendRest } from './wire.ts';

const ROUTES: Readonly<Record<string, readonly [method: string, path: string]>> = {
  upsert: ['PUT', 'points'],
  update_vectors: ['PUT', 'points/vectors'],
  delete: ['POST', 'points/delete'],
  delete_vectors: ['POST', 'points/vectors/delete'],
  set_payload: ['POST', 'points/payload'],
  overwrite_payload: ['PUT', 'points/payload'],
  delete_payload: ['POST', 'points/payload/delete'],
  clear_payload: ['POST', 'points/payload/clear'],
  batch: ['POST', 'points/batch'],
  retrieve: ['POST', 'points'],
  scroll: ['POST', 'points/scroll'],
  count: ['POST', 'points/count'],
  facet: ['POST', 'facet'],
  query: ['POST', 'points/query'],
  query_batch: ['POST', 'points/query/batch'],
  query_groups: ['POST', 'points/query/groups'],
  search: ['POST', 'points/search'],
  recommend: ['POST', 'points/recommend'],
  discover: ['POST', 'points/discover'],
  matrix_pairs: ['POST', 'points/search/matrix/pairs'],
  matrix_offsets: ['POST', 'points/search/matrix/offsets'],
};

/** Asks an operation over REST; a refusal is a reply, too. */
export async function askRest({ restUrl, headers, collection }: Target, op: string, body: JsonObject): Promise<Reply> {
  const { method, path, text } = requestOf(op, body, collection);
  const answer = await sendRest(restUrl, method, path, headers, text);
  return replyOf(answer.status, answer.text);
}

/** The method and the path of an operation. */
export function routeOf(op: string, body: JsonObject, collection: string) {
  const [method, path] = op === 'retrieve_one' ? ['GET', `points/${String(body.id)}`] : (ROUTES[op] ?? ['POST', op]);
  return { method, path: `/collections/${collection}/${path}?wait=true` };
}

/** An operation as a request. @returns `text` empty = it has no body */
export function requestOf(op: string, body: JsonObject, collection: string) {
  return { ...routeOf(op, body, collection), text: op === 'retrieve_one' ? '' : writeJson(body) };
}

/** An answer as a reply. */
export function replyOf(status: number, text: string): Reply {
  const answer = parseJson(text) as { result?: Json; status?: Json };
  return status < 300 ? { code: 200, answer: answer.result ?? null } : { code: status, answer: answer.status ?? null };
}

import { isObject, type Json, type JsonObject, listOf, objectOf } from '../fake-qdrant/json.ts';
import { idsOf, levelOf, levelsOf } from '../fake-qdrant/query-inputs.ts';
import { type SearchForm, universal } from '../fake-qdrant/search.ts';
import type { Store } from '../fake-qdrant/store.ts';
import { type TenantOperation, WRITE_NAMES } from './operations.ts';
import type { Reply, Way } from './ways.ts';

/*
 * A shared collection, divided in the plainest way: every operation is changed before it is sent, with the ids of the tenant's points
 * asked beforehand. It shows that what the model expects can be had from conditions alone.
 */

/** What divides: a payload field and the tenant's value. */
export interface Division {
  readonly field: string;
  readonly value: Json;
  readonly store: Store;
  readonly collection: string;
}

type Ids = ReadonlySet<string>;
type Fields = TenantOperation;

/** The way of one tenant over a collection of all. */
export function divided(way: Way, division: Division): Way {
  const { field, value } = division;
  const own: JsonObject = { key: field, match: { value } };
  const held = async (): Promise<Ids> => {
    const body = { filter: { must: [own] }, limit: 1000, with_payload: false };
    const { answer } = await way({ op: 'scroll', body, protocol: 'rest' });
    return new Set(listOf(objectOf(answer).points).map((point) => String(objectOf(point).id)));
  };
  const one = async (operation: Fields): Promise<Reply> => {
    const mine = await held();
    return WRITE_NAMES.has(operation.op)
      ? await written(way, operation, mine, own, { [field]: value })
      : await read(way, operation, mine, own, division);
  };
  return async (operation) => {
    if (operation.op !== 'batch') return await one(operation);
    const answers: Json[] = [];
    for (const [op, body] of listOf(operation.body.operations).flatMap((inner) => Object.entries(objectOf(inner)))) {
      const reply = await one({ ...operation, op, body: objectOf(body) });
      if (isRefused(reply)) return reply;
      answers.push(operation.protocol === 'rest' ? reply.answer : (objectOf(reply.answer).result ?? null));
    }
    return operation.protocol === 'rest' ? { code: 200, answer: answers } : { code: 0, answer: { result: answers } };
  };
}

function isRefused({ code }: Reply): boolean {
  return code !== 0 && code !== 200;
}

function bounded(own: JsonObject, filter: Json | undefined): JsonObject {
  const client = isObject(filter) ? filter : {};
  return { ...client, must: [own, ...listOf(client.must)] };
}

function notFound(protocol: 'rest' | 'grpc', what: string): Reply {
  const text = `Not found: ${what}`;
  return protocol === 'rest' ? { code: 404, answer: { error: text } } : { code: 5, answer: text };
}

async function written(way: Way, asked: Fields, mine: Ids, own: JsonObject, mark: JsonObject): Promise<Reply> {
  const { op, body, protocol } = asked;
  const send = (name: string, changed: JsonObject): Promise<Reply> => way({ op: name, body: changed, protocol });
  if (op === 'upsert') {
    return await send(op, { ...marked(body, mark), update_filter: bounded(own, body.update_filter) });
  }
  const ids = listOf(body.points).map((point) => (isObject(point) ? (point.id ?? null) : point));
  const missing = ids.find((id) => !mine.has(String(id)));
  if (op === 'update_vectors' && missing !== undefined && !ids.some((id) => mine.has(String(id)))) {
    return notFound(protocol, `No point with id ${String(missing)} found`);
  }
  const changed = changedWrite(asked, mine, own, mark);
  const reply = await send(op === 'clear_payload' ? 'overwrite_payload' : op, changed);
  return missing === undefined || op === 'delete' || isRefused(reply)
    ? reply
    : notFound(protocol, `No point with id ${String(missing)} found`);
}

function changedWrite({ op, body }: Fields, mine: Ids, own: JsonObject, mark: JsonObject): JsonObject {
  if (op === 'update_vectors') {
    const points = listOf(body.points).filter((point) => mine.has(String(objectOf(point).id)));
    return { points, update_filter: bounded(own, body.update_filter) };
  }
  const chosen = body.points === undefined ? body.filter : { must: [{ has_id: body.points }] };
  const { points: _ids, ...rest } = body;
  const payload =
    op === 'clear_payload' ? mark : op === 'overwrite_payload' ? { ...objectOf(body.payload), ...mark } : body.payload;
  return { ...rest, ...(payload === undefined ? {} : { payload }), filter: bounded(own, chosen) };
}

function marked(body: JsonObject, mark: JsonObject): JsonObject {
  const payload = (given: Json | undefined): JsonObject => ({ ...(isObject(given) ? given : {}), ...mark });
  if (!isObject(body.batch)) {
    const points = listOf(body.points).map(objectOf);
    return { ...body, points: points.map((point) => ({ ...point, payload: payload(point.payload) })) };
  }
  const payloads = listOf(body.batch.payloads);
  return {
    ...body,
    batch: { ...body.batch, payloads: listOf(body.batch.ids).map((_id, at) => payload(payloads[at])) },
  };
}

async function read(way: Way, asked: Fields, mine: Ids, own: JsonObject, division: Division): Promise<Reply> {
  const { op, body, protocol } = asked;
  if (op === 'retrieve_one' && !mine.has(String(body.id))) {
    return protocol === 'rest'
      ? notFound(protocol, `Point with id ${String(body.id)} does not exists!`)
      : await way({ op: 'retrieve', body: { ids: [] }, protocol });
  }
  if (op === 'retrieve' || op === 'retrieve_one') {
    const ids = listOf(body.ids).filter((id) => mine.has(String(id)));
    return await way({ op, body: op === 'retrieve' ? { ...body, ids } : body, protocol });
  }
  const missing = missingExample(asked, mine, division);
  if (missing !== undefined) return notFound(protocol, `No point with id ${missing} found`);
  const searches =
    op === 'query_batch' ? listOf(body.searches).map((search) => level(own, objectOf(search))) : undefined;
  const changed = searches === undefined ? level(own, body) : { searches };
  return await way({ op, body: changed, protocol });
}

function missingExample({ op, body }: Fields, mine: Ids, { store, collection }: Division): string | undefined {
  const form: SearchForm = op === 'recommend' || op === 'discover' ? op : 'query';
  const bodies = op === 'query_batch' ? listOf(body.searches).map(objectOf) : [universal(form, body)];
  const levels = bodies.flatMap((one) => levelsOf(levelOf(store, store.find(collection), one)));
  return levels.flatMap((one) => idsOf(one).ids.map(String)).find((id) => !mine.has(id));
}

/** The condition at every level, and in every corpus. */
function level(own: JsonObject, body: JsonObject): JsonObject {
  const vector = isObject(body.vector) ? body.vector.name : undefined;
  const idf = isObject(body.params) && isObject(body.params.idf) ? body.params.idf : {};
  const counts = body.using === 'words' ? body.params !== undefined : vector === 'words';
  return {
    ...body,
    filter: bounded(own, body.filter),
    ...(body.prefetch === undefined ? {} : { prefetch: listOf(body.prefetch).map((one) => level(own, objectOf(one))) }),
    ...(counts ? { params: { idf: { corpus: bounded(own, idf.corpus) } } } : {}),
  };
}

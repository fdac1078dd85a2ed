import { JsonFault } from '../../json/fault.ts';
import { JsonReader } from '../../json/reader.ts';
import { type JsonNode, JsonObject, listNode, textNode } from '../../json/tree.ts';
import { JsonTooLong, writeJson } from '../../json/writer.ts';
import { badRequest, type Denial, TENANT_SHARDED, tooLarge, UPSTREAM_BROKEN } from '../../policy/denial.ts';
import { hiddenFields } from '../../policy/tenants/kept-fields.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import {
  type AnswerChange,
  hiding,
  type PointId,
  type ReleaseFeatures,
  type Rewriting,
} from '../../policy/tenants/rewriting.ts';
import type { Tenancy } from '../../policy/tenants/tenancy.ts';
import { conditionsOn } from '../../policy/tenants/within.ts';
import { badBody } from '../body/inspect.ts';
import { ShapeFault } from '../body/inspect-references.ts';
import { writePath } from '../request-target.ts';
import { pointIdOf } from './point-id.ts';
import { readQuery } from './query-string.ts';
import { idText, type ReadingContext, TakesLonger, TenantReading, tenantFilter } from './reading.ts';
import { READS } from './reads.ts';
import type { TenantRequest } from './request.ts';
import { type Action, keep, list, object, pointId } from './shapes.ts';
import { placeIn } from './shard-key.ts';
import { WRITES } from './writes.ts';

/** A request to be made anew for a tenant. Plain data: it may be done in another thread. */
export interface TenantTask {
  /** The name of its row. */
  readonly operation: string;
  readonly method: string;
  /** As it was resolved, with its query. */
  readonly pathToSend: string;
  /** The decoded parameters of the path, the collection first. */
  readonly params: readonly string[];
  readonly tenancy: Tenancy;
  readonly features: ReleaseFeatures;
  /** Vectors of the collection that score by the statistics of terms; `undefined` = not known. */
  readonly idfVectors: ReadonlySet<string> | undefined;
  /** True = the collection has shard keys; `undefined` = not known, or the request is not one that searches. */
  readonly hasShardKeys: boolean | undefined;
  /** Levels of objects and arrays. */
  readonly maxDepth: number;
  /** Most bytes of the request that is made. */
  readonly maxBytes: number;
}

/** The request, and the change of its answer. */
interface Made {
  readonly request: TenantRequest;
  readonly answer: AnswerChange | undefined;
}

/** The request anew, or why it is refused. Pure. May throw on a fault of ours. */
export function rewriteRequest(task: TenantTask, body: Buffer): Rewriting<TenantRequest> | Denial {
  return rewrite(task, body, Number.POSITIVE_INFINITY);
}

/** Work of some milliseconds: 3000 prefetches, or 12,000 ids. */
const MOST_WORK_SOON = 12_000;

/** The same as far as it takes little time. `undefined` = it takes more. */
export function rewriteSoon(task: TenantTask, body: Buffer): Rewriting<TenantRequest> | Denial | undefined {
  try {
    return rewrite(task, body, MOST_WORK_SOON);
  } catch (error) {
    if (error instanceof TakesLonger) return undefined;
    throw error;
  }
}

function rewrite(task: TenantTask, body: Buffer, mostWork: number): Rewriting<TenantRequest> | Denial {
  const [collection = ''] = task.params;
  const conditions = conditionsOn(task.tenancy, collection);
  if ('kind' in conditions) return conditions;
  const { tenancy, features, idfVectors, maxBytes } = task;
  const { kept, waits } = readQuery(queryOf(task.pathToSend));
  const context: ReadingContext = { collection, conditions, tenancy, features, idfVectors, waits, maxBytes, mostWork };
  const reader = new JsonReader(body, { maxDepth: task.maxDepth });
  const reading = new TenantReading(reader, body, context);
  try {
    if (conditions.length > 0 && SEARCHING.test(task.operation)) judgeShards(task, reading);
    const made = make(task, reading, kept);
    return { ...made, checks: reading.checks(), byIdAlone: reading.byIdAlone };
  } catch (error) {
    if (error instanceof TenantRefusal) return error.denial;
    if (error instanceof ShapeFault) return badBody(body, error, 'tenant_form');
    if (error instanceof JsonFault) return badBody(body, error);
    if (error instanceof JsonTooLong)
      return tooLarge(`the request is made longer than ${maxBytes} bytes for its tenant`);
    throw error;
  }
}

/**
 * Upstream fetches what belongs to a hit by its id, from every shard that was asked; with shard keys two tenants may have points with
 * the same id (Qdrant v1.19.0, `fill_search_result_with_payload`, `search_points_matrix`).
 */
function judgeShards({ hasShardKeys }: TenantTask, { shard }: TenantReading): void {
  if (shard) return;
  if (hasShardKeys === undefined) throw new TenantRefusal(UPSTREAM_BROKEN);
  if (hasShardKeys) throw new TenantRefusal(TENANT_SHARDED);
}

function queryOf(pathToSend: string): string {
  const at = pathToSend.indexOf('?');
  return at < 0 ? '' : pathToSend.slice(at);
}

function make(task: TenantTask, reading: TenantReading, query: string): Made {
  const { conditions, collection } = reading.context;
  switch (task.operation) {
    case 'collections.get':
      return {
        request: { method: task.method, path: writePath(['collections', collection]) + query, body: undefined },
        answer: { kind: 'collection', collection, conditions },
      };
    case 'points.get_one':
      return retrieveOne(reading, task.params[1] ?? '', query);
    case 'points.get':
      return retrieve(reading, query);
    default:
      return makeBody(task, reading, query);
  }
}

function makeBody({ operation, method, pathToSend }: TenantTask, reading: TenantReading, query: string): Made {
  const { conditions, collection } = reading.context;
  const read = READS[operation];
  const action = read ?? WRITES[operation];
  // INVARIANT: an operation of the table has a shape; without one nothing of it goes upstream.
  if (!action) throw new TypeError(`no shape for ${operation}`);
  const body = readBody(reading, action);
  const clears = operation === 'points.clear_payload';
  const [path = ''] = pathToSend.split('?', 1);
  const request = clears
    ? { method: 'PUT', path: writePath(['collections', collection, 'points', 'payload']) + query, body }
    : { method, path: path + query, body };
  return { request, answer: read && hiding(conditions) };
}

function readBody(reading: TenantReading, action: Action): Buffer {
  const node = action(reading);
  reading.reader.end();
  return written(reading, node);
}

function written(reading: TenantReading, node: JsonNode): Buffer {
  return writeJson(node, reading.source, reading.context.maxBytes);
}

/** Rows that fetch what belongs to a hit by its id. */
export const SEARCHING = /^points\.(?:query|search|recommend|discover)/;

/** Ids each once, in the order asked. */
const RETRIEVE = object({
  ids: list(pointId((reading, id) => reading.note(id))),
  ...{ with_payload: keep, with_vector: keep, with_vectors: { as: 'with_vector' }, shard_key: keep },
});

/** A scroll over the points. Upstream: without `with_payload` retrieving gives none, and scrolling all (Qdrant v1.19.0). */
function retrieve(reading: TenantReading, query: string): Made {
  const level = { ids: [] as PointId[], lookup: undefined, isText: false };
  reading.levels.push(level);
  const node = RETRIEVE(reading);
  reading.reader.end();
  const ids = [...new Set(level.ids)];
  if (node.kind !== 'object' || !node.has('ids')) throw reading.fault('missing field `ids`');
  return scroll(reading, { node, ids, one: false, query });
}

function retrieveOne(reading: TenantReading, given: string, query: string): Made {
  const id = pointIdOf(given);
  if (id === undefined) {
    throw new TenantRefusal(badRequest('tenant_form', `Wrong input: Can not recognize "${given}" as point id`));
  }
  const node = new JsonObject();
  node.set('with_payload', textNode('true'));
  node.set('with_vector', textNode('true'));
  return scroll(reading, { node, ids: [id], one: true, query });
}

interface Retrieval {
  readonly node: JsonObject;
  readonly ids: readonly PointId[];
  readonly one: boolean;
  readonly query: string;
}

function scroll(reading: TenantReading, { node, ids, one, query }: Retrieval): Made {
  const { collection, conditions } = reading.context;
  placeIn(reading, node, reading.shard);
  node.remove('ids');
  node.set('filter', tenantFilter(reading, listNode(ids.map((id) => textNode(idText(id))))));
  // Upstream refuses 0.
  node.set('limit', textNode(String(Math.max(1, ids.length))));
  if (reading.isNull(node.get('with_payload'))) node.set('with_payload', textNode('false'));
  if (reading.isNull(node.get('with_vector'))) node.remove('with_vector');
  return {
    request: {
      method: 'POST',
      path: writePath(['collections', collection, 'points', 'scroll']) + query,
      body: written(reading, node),
    },
    answer: { kind: 'retrieved', ids, one, fields: hiddenFields(conditions) },
  };
}

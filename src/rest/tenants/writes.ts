import { type JsonNode, type JsonObject, type JsonWritten, listNode, objectNode, textNode } from '../../json/tree.ts';
import { badRequest, tenantField } from '../../policy/denial.ts';
import { pathText } from '../../policy/tenants/payload-path.ts';
import { onlyValue } from '../../policy/tenants/payload-rules.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { releaseRefused } from '../../policy/tenants/rewriting.ts';
import { addConditions, bindMissing, boundFilter } from './filters.ts';
import { deletedKey, judgeSetting, newPayload, ownPayload, payloadAt } from './payloads.ts';
import { idOfText, readPointId } from './point-id.ts';
import { points } from './points.ts';
import { type Level, type TenantReading, tenantFilter } from './reading.ts';
import { type Action, type Fields, type Finish, keep, keepVectors, list, object, orNull, text } from './shapes.ts';
import { placed } from './shard-key.ts';
import { oneOf } from './variants.ts';

/* Requests that write points. Upstream: Qdrant v1.19.0, `lib/api/src/rest/schema.rs`, `src/common/update.rs`. */

const SHARD: Fields = { shard_key: keep };
const VECTOR: Fields = { vector: keepVectors, vectors: { as: 'vector' } };

/** A point that is named; noted where the client hears of it if it does not exist. */
const selected: Action = (reading) => {
  const id = readPointId(reading);
  if (reading.levels.length > 0) reading.note(idOfText(id));
  return textNode(id);
};

/** A point that is written; noted where later operations may name it. */
const written: Action = (reading) => {
  const id = readPointId(reading);
  if (reading.isBatch) reading.noteWritten(idOfText(id));
  return textNode(id);
};
const ids = orNull(list(selected));

/** Null selects nothing: it does not become a filter. */
const selectedFilter = orNull(boundFilter);

/* INVARIANT: a point of another tenant stays as it is. */
const UPDATE: Fields = { update_filter: boundFilter };
const SINCE = '1.15.4';

function bindUpdate(what: string): Finish {
  return (reading, node) => {
    const { features } = reading.context;
    if (!features.updateFilter) throw new TenantRefusal(releaseRefused(features, what, SINCE));
    bindMissing(reading, node, 'update_filter');
  };
}

/**
 * INVARIANT: a point with a value in a field that the tenant does not write keeps its payload: the write that would replace it
 * passes the point over.
 */
function guardReadOnly(reading: TenantReading, node: JsonObject, filter: string): void {
  if (reading.readOnly.length === 0 || !node.has(filter)) return;
  const empty = reading.readOnly.map((field) => textNode(`{"is_empty":{"key":${JSON.stringify(pathText(field))}}}`));
  addConditions(node.get(filter), empty);
}

const bindUpsert: Finish = (reading, node) => {
  bindUpdate('Upserts of tenants')(reading, node);
  guardReadOnly(reading, node, 'update_filter');
};

const point = object({ id: written, ...VECTOR, payload: ownPayload }, (reading, node) => {
  if (!node.has('payload')) node.set('payload', newPayload(reading));
});
const payloads = orNull(list(ownPayload));
const batchOfPoints = object({ ids: list(written), vectors: keepVectors, payloads }, (reading, node) => {
  const count = countOf(node.get('ids'));
  const own = node.get('payloads');
  if (own?.kind !== 'list') node.set('payloads', listNode([], copies(reading, count)));
  else if (countOf(own) !== count) throw reading.fault('expected as many payloads as ids');
});
function countOf(node: JsonNode | undefined): number {
  return node?.kind === 'list' ? node.items.length + (node.rest?.count ?? 0) : 0;
}

/** So many payloads of the tenant's own. */
function copies(reading: TenantReading, count: number): JsonWritten {
  const writer = reading.writer();
  const one = newPayload(reading);
  for (let i = 0; i < count; i += 1) writer.item(one);
  return writer.written();
}

const UPSERT: Fields = { ...SHARD, ...UPDATE, update_mode: text };

/** Tables by the names of upstream's schemas. */
export const WRITE_FIELDS = {
  PointsList: { points: points(point), ...UPSERT },
  PointsBatch: { batch: batchOfPoints, ...UPSERT },
  UpdateVectors: { points: list(object({ id: selected, ...VECTOR }), 'large'), ...SHARD, ...UPDATE },
  PointsSelector: { points: ids, filter: selectedFilter, ...SHARD },
  SetPayload: { payload: payloadAt, points: ids, filter: selectedFilter, ...SHARD, key: text },
  OverwritePayload: { payload: ownPayload, points: ids, filter: selectedFilter, ...SHARD, key: text },
  DeletePayload: { keys: list(deletedKey), points: ids, filter: selectedFilter, ...SHARD },
  DeleteVectors: { points: ids, filter: selectedFilter, vector: keep, vectors: { as: 'vector' }, ...SHARD },
} as const satisfies Readonly<Record<string, Fields>>;

/** A request that names points to write, all of which have to exist. Upstream loses that fault if the client does not wait. */
function existing(shape: Action): Action {
  return (reading) => {
    if (!reading.context.waits) return shape(reading);
    const own: Level = { ids: [], lookup: undefined, isText: false };
    reading.levels.push(own);
    const node = shape(reading);
    reading.levels.pop();
    reading.check(own.ids.filter((id) => !reading.written.has(id)));
    return node;
  };
}

const NO_SELECTOR = badRequest('tenant_form', 'Either list of point ids or filter must be provided');

/**
 * Ids become a filter of the tenant's points among them. Upstream: with both, the ids count (Qdrant v1.19.0); an empty list of ids
 * stays, for upstream to refuse.
 *
 * INVARIANT: a request that selects nothing does not become one that selects all points of the tenant.
 */
function select(reading: TenantReading, node: JsonObject): void {
  const hasIds = !reading.isNull(node.get('points'));
  const hasFilter = !reading.isNull(node.get('filter'));
  if (!hasIds && !hasFilter) throw new TenantRefusal(NO_SELECTOR);
  if (!hasIds) {
    node.remove('points');
    return;
  }
  node.remove('filter');
  const points = node.get('points');
  if (countOf(points) === 0) return;
  node.remove('points');
  node.set('filter', tenantFilter(reading, points));
}

const anyUpsert = oneOf(
  [
    { required: ['batch'], fields: WRITE_FIELDS.PointsBatch },
    { required: ['points'], fields: WRITE_FIELDS.PointsList },
  ],
  'an upsert',
  bindUpsert,
);

const upsert: Action = (reading) => {
  const before = reading.written.size;
  const node = anyUpsert(reading);
  const mode = node.kind === 'object' ? reading.stringOf(node.get('update_mode')) : undefined;
  // Points that are only updated may not be there.
  if (mode === 'update_only') reading.forgetWritten(before);
  return node;
};

const updateVectors = object(WRITE_FIELDS.UpdateVectors, bindUpdate('Changes of vectors of tenants'));
const deletePoints = object(WRITE_FIELDS.PointsSelector, select);
const clearPayload = object(WRITE_FIELDS.PointsSelector, (reading, node) => {
  select(reading, node);
  if (reading.context.conditions.some((condition) => onlyValue(condition) === undefined)) {
    throw new TenantRefusal(tenantField('would remove the field of the tenant'));
  }
  guardReadOnly(reading, node, 'filter');
  // The field stays: all other keys are cleared by overwriting.
  node.set('payload', newPayload(reading));
});
const setPayload = object(WRITE_FIELDS.SetPayload, (reading, node) => {
  const payload = node.get('payload');
  if (!payload) throw reading.fault('missing field `payload`');
  judgeSetting(reading, payload, node.get('key'));
  select(reading, node);
});
const overwritePayload = object(WRITE_FIELDS.OverwritePayload, (reading, node) => {
  if (reading.isNull(node.get('payload'))) throw reading.fault('missing field `payload`');
  // Upstream passes over it (Qdrant v1.19.0).
  node.remove('key');
  select(reading, node);
  guardReadOnly(reading, node, 'filter');
});
const deletePayload = object(WRITE_FIELDS.DeletePayload, select);
const deleteVectors = object(WRITE_FIELDS.DeleteVectors, (reading, node) => {
  // Upstream would carry out both.
  if (!reading.isNull(node.get('points')) && !reading.isNull(node.get('filter'))) {
    throw reading.fault('expected either `points` or `filter`');
  }
  select(reading, node);
});

/** The operations of a batch by their field. */
const BATCHED: Readonly<Record<string, Action>> = {
  upsert: placed(upsert),
  delete: placed(deletePoints),
  set_payload: placed(existing(setPayload)),
  overwrite_payload: placed(existing(overwritePayload)),
  delete_payload: placed(existing(deletePayload)),
  clear_payload: placed(existing(clearPayload)),
  update_vectors: placed(existing(updateVectors)),
  delete_vectors: placed(existing(deleteVectors)),
};

const operation = oneOf(
  Object.entries(BATCHED).map(([name, action]) => ({ required: [name], fields: { [name]: action } })),
  'an operation',
);

const batched: Action = (reading) => {
  reading.isBatch = true;
  reading.openOperation();
  const node = operation(reading);
  const cleared = node.kind === 'object' ? node.get('clear_payload') : undefined;
  return cleared ? objectNode({ overwrite_payload: cleared }) : node;
};

/** The bodies of writes by the names of their rows. */
export const WRITES: Readonly<Record<string, Action>> = {
  ...Object.fromEntries(Object.entries(BATCHED).map(([name, action]) => [`points.${name}`, action])),
  'points.batch': object({ operations: list(batched, 'large') }),
};

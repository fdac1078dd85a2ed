import { Fault, LateFault, wrongInput } from './fault.ts';
import { type Json, type JsonObject, listOf, objectOf, textOf } from './json.ts';
import { pathOf } from './paths.ts';
import type { Store } from './store.ts';
import { writes } from './writes.ts';

/** Carries out one write; answers operation id and status as PUT /collections/{name}/points does. */
export function write(store: Store, name: string, operation: string, body: JsonObject, wait: boolean): JsonObject {
  const collection = store.find(name);
  const version = store.nextOperation();
  const act = Object.hasOwn(writes, operation) ? writes[operation] : undefined;
  if (act === undefined) {
    throw new Fault('bad-input', `Format error in JSON body: unknown variant \`${operation}\``);
  }
  try {
    act(collection, body, version);
  } catch (error) {
    if (wait || !(error instanceof LateFault)) {
      throw error;
    }
  }
  return { operation_id: version, status: wait ? 'completed' : 'acknowledged' };
}

/** Carries out the operations of an update batch in order; answers one result each. */
export function writeBatch(store: Store, name: string, body: JsonObject, wait: boolean): Json {
  return listOf(body.operations).map((item) => {
    const [entry] = Object.entries(objectOf(item));
    if (entry === undefined) {
      throw new Fault('bad-input', 'Format error in JSON body: no operation named');
    }
    return write(store, name, entry[0], objectOf(entry[1]), wait);
  });
}

/** Remembers a payload index; the schema is a type name or an object with `type`. */
export function createIndex(store: Store, name: string, body: JsonObject): JsonObject {
  const collection = store.find(name);
  const field = textOf(body.field_name);
  if (field === undefined) {
    throw new Fault('bad-input', 'Format error in JSON body: missing field `field_name`');
  }
  pathOf(field);
  const schema = body.field_schema ?? body.field_type;
  if (schema === undefined || schema === null) {
    throw wrongInput('Cannot detect the field type from the data, specify it explicitly');
  }
  collection.indexes.set(field, schema);
  return { operation_id: store.nextOperation(), status: 'acknowledged' };
}

/** Forgets a payload index; an unknown one is no fault. */
export function deleteIndex(store: Store, name: string, field: string): JsonObject {
  store.find(name).indexes.delete(field);
  return { operation_id: store.nextOperation(), status: 'acknowledged' };
}

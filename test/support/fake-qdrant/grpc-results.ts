import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type GroupsResultSchema,
  type RetrievedPointSchema,
  type ScoredPointSchema,
  UpdateStatus,
  type VectorOutputSchema,
} from '@qdrant/js-client-grpc';
import { idMessage, payloadMessage } from './grpc-values.ts';
import { isObject, type Json, type JsonObject, listOf, numberOf, numbersOf, objectOf } from './json.ts';

type VectorOutput = MessageInitShape<typeof VectorOutputSchema>;
type Retrieved = MessageInitShape<typeof RetrievedPointSchema>;

function vectorOutput(vector: Json): VectorOutput {
  if (isObject(vector)) {
    const value = { indices: numbersOf(vector.indices), values: numbersOf(vector.values) };
    return { vector: { case: 'sparse', value } };
  }
  if (Array.isArray(vector) && Array.isArray(vector[0])) {
    const rows = vector.map((row) => ({ data: numbersOf(row) }));
    return { vector: { case: 'multiDense', value: { vectors: rows } } };
  }
  const data = numbersOf(vector);
  // Upstream: older clients read the flat field, so the server fills both.
  return { data, vector: { case: 'dense', value: { data } } };
}

function vectorsOutput(vector: Json | undefined): Pick<Retrieved, 'vectors'> {
  if (vector === undefined) {
    return {};
  }
  if (!isObject(vector)) {
    return { vectors: { vectorsOptions: { case: 'vector', value: vectorOutput(vector) } } };
  }
  const named = Object.entries(vector).map(([name, value]) => [name, vectorOutput(value ?? null)]);
  return { vectors: { vectorsOptions: { case: 'vectors', value: { vectors: Object.fromEntries(named) } } } };
}

function orderValue(value: Json | undefined): Pick<Retrieved, 'orderValue'> {
  return value === undefined || value === null
    ? {}
    : { orderValue: { variant: { case: 'float', value: numberOf(value, 0) } } };
}

/** A retrieved point (REST form) as a message. */
export function retrievedMessage(item: Json): Retrieved {
  const record = objectOf(item);
  return {
    id: idMessage(record.id),
    payload: payloadMessage(record.payload),
    ...vectorsOutput(record.vector),
    ...orderValue(record.order_value),
  };
}

/** A scored point (REST form) as a message. */
export function scoredMessage(item: Json): MessageInitShape<typeof ScoredPointSchema> {
  const record = objectOf(item);
  return {
    id: idMessage(record.id),
    payload: payloadMessage(record.payload),
    score: numberOf(record.score, 0),
    version: BigInt(numberOf(record.version, 0)),
    ...vectorsOutput(record.vector),
    ...orderValue(record.order_value),
  };
}

/** Groups (REST form) as a message. */
export function groupsMessage(result: JsonObject): MessageInitShape<typeof GroupsResultSchema> {
  const groups = listOf(result.groups).map(objectOf);
  return {
    groups: groups.map(({ id, hits, lookup }) => ({
      id: { kind: groupId(id) },
      hits: listOf(hits).map(scoredMessage),
      ...(lookup === undefined ? {} : { lookup: retrievedMessage(lookup) }),
    })),
  };
}

type GroupKind = { case: 'stringValue'; value: string } | { case: 'unsignedValue' | 'integerValue'; value: bigint };

function groupId(id: Json | undefined): GroupKind {
  if (typeof id === 'string') {
    return { case: 'stringValue', value: id };
  }
  const value = typeof id === 'bigint' ? id : BigInt(Math.trunc(numberOf(id, 0)));
  return { case: value < 0n ? 'integerValue' : 'unsignedValue', value };
}

/** The result of a write (REST form) as a message. */
export function updateMessage(result: Json): { operationId: bigint; status: UpdateStatus } {
  const { operation_id: id, status } = objectOf(result);
  const done = status === 'completed' ? UpdateStatus.Completed : UpdateStatus.Acknowledged;
  return { operationId: BigInt(numberOf(id, 0)), status: done };
}

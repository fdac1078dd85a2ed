import { create } from '@bufbuild/protobuf';
import {
  type PointStruct,
  type QueryPoints,
  type ShardKey,
  type Value,
  ValueSchema,
  type VectorExample,
  type VectorInput,
  type Vector as VectorMessage,
  type WithPayloadSelector,
  type WithVectorsSelector,
} from '@qdrant/js-client-grpc';
import { wrongInput } from './fault.ts';
import { isObject, type Json, type JsonObject, shortFloat } from './json.ts';

type PointIdMessage = NonNullable<PointStruct['id']>;
/** A filter message (its module is not exported by the client's root). */
export type FilterMessage = NonNullable<QueryPoints['filter']>;
/** A point id to put into a message. */
export type PointIdInit = { pointIdOptions: { case: 'num'; value: bigint } | { case: 'uuid'; value: string } };

/** A protobuf integer as JSON: a number where one can hold it, else a bigint. */
export function integerJson(value: bigint): number | bigint {
  const safe = value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER);
  return safe ? Number(value) : value;
}

/** A point id message in REST form. */
export function idJson(id: PointIdMessage | undefined): Json {
  const option = id?.pointIdOptions;
  if (option?.case === undefined) {
    throw wrongInput('No ID options provided');
  }
  return option.case === 'num' ? integerJson(option.value) : option.value;
}

/** A point id in message form. */
export function idMessage(id: Json | undefined): PointIdInit {
  return typeof id === 'string'
    ? { pointIdOptions: { case: 'uuid', value: id } }
    : { pointIdOptions: { case: 'num', value: BigInt(typeof id === 'number' || typeof id === 'bigint' ? id : 0) } };
}

/** A payload value message as JSON. */
export function valueJson(value: Value): Json {
  const { kind } = value;
  switch (kind.case) {
    case 'doubleValue':
    case 'stringValue':
    case 'boolValue':
      return kind.value;
    case 'integerValue':
      return integerJson(kind.value);
    case 'structValue':
      return payloadJson(kind.value.fields);
    case 'listValue':
      return kind.value.values.map(valueJson);
    default:
      return null;
  }
}

/** A payload map as a JSON object. */
export function payloadJson(payload: { [key: string]: Value }): JsonObject {
  return Object.fromEntries(Object.entries(payload).map(([key, value]) => [key, valueJson(value)]));
}

/** A JSON value as a payload value message. */
export function valueMessage(value: Json): Value {
  if (value === null) {
    return create(ValueSchema, { kind: { case: 'nullValue', value: 0 } });
  }
  if (typeof value === 'string') {
    return create(ValueSchema, { kind: { case: 'stringValue', value } });
  }
  if (typeof value === 'boolean') {
    return create(ValueSchema, { kind: { case: 'boolValue', value } });
  }
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) {
    const integer = BigInt.asIntN(64, BigInt(value));
    return create(ValueSchema, { kind: { case: 'integerValue', value: integer } });
  }
  if (typeof value === 'number') {
    return create(ValueSchema, { kind: { case: 'doubleValue', value } });
  }
  if (Array.isArray(value)) {
    return create(ValueSchema, { kind: { case: 'listValue', value: { values: value.map(valueMessage) } } });
  }
  return create(ValueSchema, { kind: { case: 'structValue', value: { fields: payloadMessage(value) } } });
}

/** A JSON object as a payload map. */
export function payloadMessage(payload: Json | undefined): { [key: string]: Value } {
  const members = isObject(payload) ? Object.entries(payload) : [];
  return Object.fromEntries(members.map(([key, value]) => [key, valueMessage(value ?? null)]));
}

/** A vector of a point in REST form; the deprecated flat fields are understood too. */
export function vectorJson(message: VectorMessage): Json {
  const { vector } = message;
  switch (vector.case) {
    case 'dense':
      return vector.value.data.map(shortFloat);
    case 'sparse':
      return { indices: vector.value.indices, values: vector.value.values.map(shortFloat) };
    case 'multiDense':
      return vector.value.vectors.map((row) => row.data.map(shortFloat));
    case undefined:
      break;
    default:
      return { text: '' };
  }
  if (message.indices !== undefined) {
    return { indices: message.indices.data, values: message.data.map(shortFloat) };
  }
  // No more rows than numbers: the count alone must not cost memory.
  const count = Math.min(message.vectorsCount ?? 0, message.data.length);
  const width = count === 0 ? 0 : message.data.length / count;
  return count === 0
    ? message.data.map(shortFloat)
    : Array.from({ length: count }, (_row, at) => message.data.slice(at * width, (at + 1) * width));
}

/** The vectors of a point in REST form. */
export function vectorsJson(vectors: PointStruct['vectors']): Json | undefined {
  const option = vectors?.vectorsOptions;
  if (option?.case === 'vectors') {
    const named = Object.entries(option.value.vectors);
    return Object.fromEntries(named.map(([name, vector]) => [name, vectorJson(vector)]));
  }
  return option?.case === 'vector' ? vectorJson(option.value) : undefined;
}

/** A query input (id or vector) in REST form. */
export function inputJson(input: VectorInput | undefined): Json {
  const variant = input?.variant;
  switch (variant?.case) {
    case 'id':
      return idJson(variant.value);
    case 'dense':
      return variant.value.data;
    case 'sparse':
      return { indices: variant.value.indices, values: variant.value.values };
    case 'multiDense':
      return variant.value.vectors.map((row) => row.data.map(shortFloat));
    default:
      return { text: '' };
  }
}

/** An example (id or vector) of a discover request in REST form. */
export function exampleJson(example: VectorExample | undefined): Json {
  const option = example?.example;
  if (option?.case === 'id') {
    return idJson(option.value);
  }
  return option?.case === 'vector' ? vectorJson(option.value) : null;
}

/** A payload selector in REST form. */
export function withPayloadJson(selector: WithPayloadSelector | undefined): Json | undefined {
  const option = selector?.selectorOptions;
  if (option?.case === 'enable') {
    return option.value;
  }
  return option?.case === undefined ? undefined : { [option.case]: option.value.fields };
}

/** A vector selector in REST form. */
export function withVectorsJson(selector: WithVectorsSelector | undefined): Json | undefined {
  const option = selector?.selectorOptions;
  return option?.case === 'include' ? option.value.names : option?.value;
}

/** A shard key in REST form. */
export function shardKeyJson(key: ShardKey | undefined): Json {
  return key?.key.case === 'number' ? integerJson(key.key.value) : (key?.key.value ?? null);
}

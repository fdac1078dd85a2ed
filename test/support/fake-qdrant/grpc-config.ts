import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import * as q from '@qdrant/js-client-grpc';
import { integerJson } from './grpc-values.ts';
import { isObject, type Json, type JsonObject } from './json.ts';

/** The members of a settings message that are set and are plain values, under their REST names. */
export function settingsJson<M extends DescMessage>(schema: M, message: MessageShape<M> | undefined): JsonObject {
  const settings: JsonObject = {};
  if (message === undefined) return settings;
  const reflected = reflect(schema, message);
  for (const field of schema.fields) {
    if (field.fieldKind !== 'scalar' || !reflected.isSet(field)) continue;
    const value: unknown = reflected.get(field);
    if (typeof value === 'bigint') settings[field.name] = integerJson(value);
    else if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string')
      settings[field.name] = value;
  }
  return settings;
}

/** The settings message of a REST object; members that are absent, null or no plain values stay unset. */
export function settingsMessage<M extends DescMessage>(schema: M, settings: Json | undefined): MessageShape<M> {
  const message = create(schema);
  const reflected = reflect(schema, message);
  for (const field of schema.fields) {
    const value = isObject(settings) ? settings[field.name] : undefined;
    if (field.fieldKind !== 'scalar' || value === undefined || value === null || typeof value === 'object') continue;
    reflected.set(field, field.longAsString || !isLong(field.scalar) ? value : BigInt(value));
  }
  return message;
}

// Source: descriptor.proto, FieldDescriptorProto.Type: int64, uint64, fixed64, sfixed64, sint64.
function isLong(type: number): boolean {
  return [3, 4, 6, 16, 18].includes(type);
}

/** The settings of a collection that PATCH and PUT have in common, in REST form. */
export function diffsJson(request: q.CreateCollection | q.UpdateCollection): JsonObject {
  const { hnswConfig, optimizersConfig } = request;
  const wal = 'walConfig' in request ? request.walConfig : undefined;
  return {
    hnsw_config: settingsJson(q.HnswConfigDiffSchema, hnswConfig),
    optimizers_config: settingsJson(q.OptimizersConfigDiffSchema, optimizersConfig),
    wal_config: settingsJson(q.WalConfigDiffSchema, wal),
    strict_mode_config:
      request.strictModeConfig === undefined
        ? undefined
        : settingsJson(q.StrictModeConfigSchema, request.strictModeConfig),
  };
}

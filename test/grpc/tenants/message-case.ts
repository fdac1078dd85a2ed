import { type DescMessage, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import type { TenantContext } from '../../../src/grpc/tenants/context.ts';
import { rewriteMessage } from '../../../src/grpc/tenants/rewrite.ts';
import type { TenantCondition } from '../../../src/policy/tenants/tenancy.ts';

/** A condition on `tenant` with the value `acme`. */
export function condition(changes: Partial<TenantCondition> = {}): TenantCondition {
  return { id: 'shop', field: ['tenant'], values: ['acme'], hides: false, sharedStatistics: false, ...changes };
}

/** `docs` is bound by this condition, `open` by none. */
function contextOf(holds: TenantCondition): TenantContext {
  const scope = (name: string, one: TenantCondition | 'free') => ({ names: new Set([name]), prefixes: [], holds: one });
  return {
    tenancy: { scopes: [scope('docs', holds), scope('open', 'free')] },
    ...{ collection: 'docs', conditions: [holds], idfVectors: new Set(['words']), mostBytes: 1 << 25 },
    features: { updateFilter: true, idfCorpus: true },
  };
}

/** The messages of all methods that are made anew. */
export const MESSAGES: Readonly<Record<string, DescMessage>> = {
  Search: q.SearchPointsSchema,
  SearchBatch: q.SearchBatchPointsSchema,
  SearchGroups: q.SearchPointGroupsSchema,
  Recommend: q.RecommendPointsSchema,
  RecommendBatch: q.RecommendBatchPointsSchema,
  RecommendGroups: q.RecommendPointGroupsSchema,
  Discover: q.DiscoverPointsSchema,
  DiscoverBatch: q.DiscoverBatchPointsSchema,
  Query: q.QueryPointsSchema,
  QueryBatch: q.QueryBatchPointsSchema,
  QueryGroups: q.QueryPointGroupsSchema,
  Scroll: q.ScrollPointsSchema,
  Count: q.CountPointsSchema,
  Facet: q.FacetCountsSchema,
  SearchMatrixPairs: q.SearchMatrixPointsSchema,
  SearchMatrixOffsets: q.SearchMatrixPointsSchema,
  Get: q.GetPointsSchema,
  Upsert: q.UpsertPointsSchema,
  UpdateVectors: q.UpdatePointVectorsSchema,
  Delete: q.DeletePointsSchema,
  DeleteVectors: q.DeletePointVectorsSchema,
  SetPayload: q.SetPayloadPointsSchema,
  OverwritePayload: q.SetPayloadPointsSchema,
  DeletePayload: q.DeletePayloadPointsSchema,
  ClearPayload: q.ClearPayloadPointsSchema,
  UpdateBatch: q.UpdateBatchPointsSchema,
};

/** Those of the methods that are sent as another one. */
const SENT: Readonly<Record<string, DescMessage>> = {
  Get: q.ScrollPointsSchema,
  ClearPayload: q.SetPayloadPointsSchema,
};

/** What is sent upstream for a message in the JSON form of protobuf, or the refusal. */
export function made(method: string, json: object, holds: TenantCondition = condition()) {
  const schema = MESSAGES[method] ?? q.ScrollPointsSchema;
  const asked = fromJson(schema, { collectionName: 'docs', ...json } as JsonValue);
  const found = rewriteMessage(`qdrant.Points/${method}`, Buffer.from(toBinary(schema, asked)), contextOf(holds));
  if (found === 'needs-facts') return found;
  if ('kind' in found) return `${found.code}: ${found.message}`;
  const sent = SENT[method] ?? schema;
  const { answer, byIdAlone, request } = found;
  return { json: toJson(sent, fromBinary(sent, request.message)) as Record<string, unknown>, answer, byIdAlone };
}

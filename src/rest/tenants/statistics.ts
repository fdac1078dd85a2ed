import { type JsonNode, JsonObject, objectNode } from '../../json/tree.ts';
import { type Denial, TENANT_MATRIX, UPSTREAM_BROKEN } from '../../policy/denial.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { releaseRefused } from '../../policy/tenants/rewriting.ts';
import { boundFilter } from './filters.ts';
import { type TenantReading, tenantFilter } from './reading.ts';
import { type Fields, keep, object, orNull, plain } from './shapes.ts';

/*
 * Scores of sparse vectors with the `idf` modifier, and of texts, depend on how often terms occur in the whole collection. They are
 * bound to the points of the tenant. Upstream: `params.idf` (Qdrant v1.19.0), which it refuses for every other vector.
 */

/** Upstream did not tell which vectors it has. */
const FACTS_UNKNOWN = UPSTREAM_BROKEN;
/** The release that has `params.idf`. */
const SINCE = '1.19.0';

export const PARAM_FIELDS: Fields = {
  hnsw_ef: plain,
  exact: plain,
  quantization: orNull(object({ ignore: plain, rescore: plain, oversampling: plain })),
  indexed_only: plain,
  acorn: orNull(object({ enable: plain, max_selectivity: plain })),
  idf: corpus,
};

export const params = orNull(object(PARAM_FIELDS));
const CORPUS = object({ corpus: boundFilter }, (reading, node) => {
  if (!node.has('corpus')) throw reading.fault('missing field `corpus`');
});

/** A corpus that the client gives is bound, whatever the vector is. */
function corpus(reading: TenantReading): JsonNode {
  switch (reading.reader.peek()) {
    case 'null':
      return keep(reading);
    case 'object':
      return CORPUS(reading);
    default: {
      const kept = keep(reading);
      if (reading.isFree) return kept;
      if (reading.stringOf(kept) !== 'global') throw reading.fault('expected `global` or an object for `idf`');
      return objectNode({ corpus: tenantFilter(reading) });
    }
  }
}

/**
 * Binds the statistics of a query.
 *
 * @param node with `params` @param vector its vector; `text` = a query of texts, whose statistics are always bound
 */
export function bindStatistics(
  reading: TenantReading,
  node: JsonObject,
  vector: string | { readonly text: true },
): void {
  if (reading.isFree || !isScored(reading, vector)) return;
  const { features } = reading.context;
  if (!features.idfCorpus) {
    refuseShared(reading, releaseRefused(features, 'Sparse and text queries of tenants', SINCE));
    return;
  }
  const given = node.get('params');
  const own = given?.kind === 'object' ? given : new JsonObject();
  const idf = own.get('idf');
  if (idf === undefined || reading.isNull(idf)) own.set('idf', objectNode({ corpus: tenantFilter(reading) }));
  node.set('params', own);
}

/** Refuses a request whose statistics nothing can bind. @param vector as in `bindStatistics` */
export function refuseStatistics(reading: TenantReading, vector: string): void {
  if (!reading.isFree && isScored(reading, vector)) refuseShared(reading, TENANT_MATRIX);
}

function isScored({ context }: TenantReading, vector: string | { readonly text: true }): boolean {
  if (typeof vector !== 'string') return true;
  if (vector === '') return false;
  if (!context.idfVectors) throw new TenantRefusal(FACTS_UNKNOWN);
  return context.idfVectors.has(vector);
}

function refuseShared({ context }: TenantReading, denial: Denial): void {
  if (context.conditions.every(({ sharedStatistics }) => sharedStatistics)) return;
  throw new TenantRefusal(denial);
}

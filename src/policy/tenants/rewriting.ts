import { type Denial, RELEASE_UNKNOWN, tenantRelease } from '../denial.ts';
import { hiddenFields } from './kept-fields.ts';
import type { PayloadField } from './payload-path.ts';
import type { TenantCondition } from './tenancy.ts';

/** A request that has been made anew for a tenant, in plain data: it may come from another thread. */
export interface Rewriting<Request = unknown> {
  /** All that goes upstream; nothing of the client's body goes beside it. Its form belongs to the protocol. */
  readonly request: Request;
  /** Carried out before the request is sent, in this order. */
  readonly checks: readonly IdCheck[];
  /** The change that makes upstream's answer the client's; `undefined` = it passes. Answers that tell a fault always pass. */
  readonly answer: AnswerChange | undefined;
  /**
   * Collections whose points the request tells apart by their ids alone. It is refused with `TENANT_SHARDED` if one of them has shard
   * keys: there two tenants may have points with the same id.
   */
  readonly byIdAlone: readonly string[];
}

/** The id of a point: a number of 64 bits, or a UUID in small letters with hyphens. */
export type PointId = bigint | string;

/**
 * Points that must exist for the tenant, asked as one scroll (`conditions` and `has_id`). The first id that is not in its answer
 * is refused with `pointNotFound`, as one that does not exist.
 */
export interface IdCheck {
  readonly collection: string;
  /** At least one, each once, in the order in which upstream would miss them. At most `MAX_CHECKED_IDS`. */
  readonly ids: readonly PointId[];
  /** At least one. */
  readonly conditions: readonly TenantCondition[];
}

/** Different ids that one request may need checked. */
export const MAX_CHECKED_IDS = 10_000;

/** Most operations of one batch, and most queries and prefetches of one request: each is sent with the conditions. */
export const MAX_PARTS = 10_000;

/** Most prefetches within each other. Upstream's process ends at some 50 levels (Qdrant v1.18.3). */
export const MAX_PREFETCHES = 32;

/**
 * - `hide`: the payloads of the answer lose `fields`
 * - `retrieved`: the answer of a scroll becomes that of retrieving `ids`, in the order in which upstream gives them; with `one`,
 *   that of retrieving one point by its path, or `pointDoesNotExist`
 * - `collection`: the information on a collection keeps its settings; its numbers become the tenant's by an exact count, or go
 */
export type AnswerChange =
  | { readonly kind: 'hide'; readonly fields: readonly PayloadField[] }
  | {
      readonly kind: 'retrieved';
      readonly ids: readonly PointId[];
      readonly one: boolean;
      readonly fields: readonly PayloadField[];
    }
  | { readonly kind: 'collection'; readonly collection: string; readonly conditions: readonly TenantCondition[] };

/** The change of an answer that holds points; `undefined` = none. */
export function hiding(conditions: readonly TenantCondition[]): AnswerChange | undefined {
  const fields = hiddenFields(conditions);
  return fields.length > 0 ? { kind: 'hide', fields } : undefined;
}

/** The features of upstream's release that tenants need. */
export interface ReleaseFeatures {
  /** `update_filter` of upserts and of changes of vectors. Since Qdrant v1.15.4. */
  readonly updateFilter: boolean;
  /** `params.idf.corpus` of sparse queries. Since Qdrant v1.19.0. */
  readonly idfCorpus: boolean;
  /** The release is not known, so it counts as one that has nothing. */
  readonly isUnknown?: true;
}

/** Of a release that is not known. */
export const NO_FEATURES: ReleaseFeatures = Object.freeze({ updateFilter: false, idfCorpus: false, isUnknown: true });

/** Why `what` is refused, which needs a release that has not been seen. Of an unknown one the client may ask again. */
export function releaseRefused({ isUnknown }: ReleaseFeatures, what: string, since: string): Denial {
  return isUnknown ? RELEASE_UNKNOWN : tenantRelease(what, since);
}

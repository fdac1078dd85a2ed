import { FRAME_HEADER_BYTES } from '../../http2/frames.ts';
import {
  type AnswerChange,
  type IdCheck,
  MAX_CHECKED_IDS,
  type PointId,
  type ReleaseFeatures,
} from '../../policy/tenants/rewriting.ts';
import type { Tenancy, TenantCondition } from '../../policy/tenants/tenancy.ts';
import { PREFIX_BYTES } from '../message/message.ts';
import { badForm } from './ids.ts';

/** The facts by which a message is rewritten. */
export interface TenantContext {
  readonly tenancy: Tenancy;
  readonly collection: string;
  /** Of the collection; none = it is free. */
  readonly conditions: readonly TenantCondition[];
  readonly features: ReleaseFeatures;
  /** The sparse vectors whose scores need statistics of other points; `unknown` = upstream does not say, `unasked` = not asked yet. */
  readonly idfVectors: ReadonlySet<string> | 'unknown' | 'unasked';
}

/** Bytes that stand in front of a message in its DATA frame. */
export const FRAME_ROOM = FRAME_HEADER_BYTES + PREFIX_BYTES;

/** A call to upstream. The message has no prefix. */
export interface GrpcRequest {
  readonly path: string;
  readonly message: Buffer;
  /** The message behind `FRAME_ROOM` bytes that are free, where it has been made so: small ones are. */
  readonly roomy?: Buffer | undefined;
}

/** Thrown inside the rewriting where facts of the collection decide that have not been asked for. */
export class NeedsFacts extends Error {
  readonly code = 'ERR_TENANT_FACTS';
}

/** A rewritten message, not yet encoded. */
export interface Rewritten {
  readonly type: string;
  readonly message: object;
  /** Default: that of the call. */
  readonly method?: string;
  readonly answer?: AnswerChange | undefined;
}

/** Ids that must be the tenant's, by collection. */
export class Checks {
  readonly #byCollection = new Map<string, Check>();
  readonly #byIdAlone = new Set<string>();

  /** The points of this collection are told apart by their ids alone. */
  byIdAlone(collection: string): void {
    this.#byIdAlone.add(collection);
  }

  /** All such collections. */
  get allByIdAlone(): readonly string[] {
    return [...this.#byIdAlone];
  }

  /** Adds ids. Throws a refusal if there are too many. */
  add(collection: string, conditions: readonly TenantCondition[], ids: readonly PointId[]): void {
    if (ids.length === 0) return;
    const known = this.#byCollection.get(collection) ?? { ids: new Set<PointId>(), conditions };
    this.#byCollection.set(collection, known);
    for (const id of ids) known.ids.add(id);
    if (known.ids.size > MAX_CHECKED_IDS) throw badForm('ids', `are more than ${MAX_CHECKED_IDS}`);
  }

  get all(): readonly IdCheck[] {
    return [...this.#byCollection].map(([collection, { ids, conditions }]) => ({
      ...{ collection, ids: [...ids], conditions },
    }));
  }
}

interface Check {
  readonly ids: Set<PointId>;
  readonly conditions: readonly TenantCondition[];
}

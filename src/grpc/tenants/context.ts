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
import { tooManyIds } from './ids.ts';

/** The facts by which a message is rewritten. */
export interface TenantContext {
  readonly tenancy: Tenancy;
  readonly collection: string;
  /** Of the collection; none = it is free. */
  readonly conditions: readonly TenantCondition[];
  readonly features: ReleaseFeatures;
  /** The sparse vectors whose scores need statistics of other points; `unknown` = upstream does not say, `unasked` = not asked yet. */
  readonly idfVectors: ReadonlySet<string> | 'unknown' | 'unasked';
  /** Most bytes of the message that is made. */
  readonly mostBytes: number;
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

/** Thrown inside the rewriting where more than `mostBytes` would be made. */
export class MadeTooLong extends Error {
  readonly code = 'ERR_TENANT_MESSAGE_LENGTH';
}

/** Counts the bytes of a message before they are made. */
export class MadeBytes {
  #left: number;

  /** @param length of the client's message */
  constructor({ mostBytes }: Pick<TenantContext, 'mostBytes'>, length: number) {
    this.#left = mostBytes - length;
  }

  /** Throws `MadeTooLong` if there is no room for so many more. */
  grow(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new MadeTooLong();
  }
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
  #count = 0;

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
    const before = known.ids.size;
    for (const id of ids) known.ids.add(id);
    this.#count += known.ids.size - before;
    if (this.#count > MAX_CHECKED_IDS) throw tooManyIds();
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

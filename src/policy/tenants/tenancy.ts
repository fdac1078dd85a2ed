import { type CollectionNames, covers } from '../names/collection-names.ts';
import type { PayloadField } from './payload-path.ts';
import { agree, type TenantShard } from './shard.ts';

/**
 * The tenants of a principal: conditions that hold for every point it reads or writes. The model is row-level security: a
 * condition on what exists and on what is written, for every operation, and without a condition there is nothing.
 */

/** A payload value, exact in its type: the integer 1 is not the text `1`. Integers are those of 64 bits with a sign. */
export type TenantValue = string | bigint | boolean;

/** A condition: `field` of a point equals one of `values`. Plain data. */
export interface TenantCondition {
  /** The entry of the policy that gave it. */
  readonly id: string;
  readonly field: PayloadField;
  /** At least one. With more than one, a written payload must name one itself. */
  readonly values: readonly TenantValue[];
  /** True = the field does not appear in answers. */
  readonly hides: boolean;
  /**
   * True = sparse and text queries are allowed although their statistics are those of all tenants. Where several conditions
   * hold, each must allow it.
   */
  readonly sharedStatistics: boolean;
  /** Fields that the caller does not read: not in answers, and not by a condition or an order. Beside `field`. */
  readonly hiddenFields?: readonly PayloadField[] | undefined;
  /** Fields that the caller does not write. */
  readonly readOnlyFields?: readonly PayloadField[] | undefined;
  /** The shard key with which every request is sent; `undefined` = the client's own, if it gives one. */
  readonly shard?: TenantShard | undefined;
}

/** The collections of one entry and what holds there. */
export interface TenantScope extends CollectionNames {
  /** `free` = used without a condition, by explicit entry; `missing` = the caller has no value: refused. */
  readonly holds: TenantCondition | 'free' | 'missing';
}

/** All scopes of one principal. A principal without an entry has no tenancy, and pays nothing. */
export interface Tenancy {
  readonly scopes: readonly TenantScope[];
}

/**
 * The conditions on a collection. Conditions of several entries hold together, so the order of a file changes nothing.
 * - conditions: at least one
 * - `free`: no condition, by an explicit entry
 * - `missing`: a condition has no value for this caller, or two of them have different shard keys
 * - `none`: no entry covers it: refused
 */
export type TenantRuling = readonly TenantCondition[] | 'free' | 'missing' | 'none';

/** The ruling on this collection. Pure; the last one of each tenancy is kept, since each request asks several times. */
export function rulingOn(tenancy: Tenancy, collection: string): TenantRuling {
  const last = rulings.get(tenancy);
  if (last?.collection === collection) return last.ruling;
  const ruling = freshRuling(tenancy, collection);
  rulings.set(tenancy, { collection, ruling });
  return ruling;
}

const rulings = new WeakMap<Tenancy, { readonly collection: string; readonly ruling: TenantRuling }>();

function freshRuling({ scopes }: Tenancy, collection: string): TenantRuling {
  const conditions: TenantCondition[] = [];
  let free = false;
  for (const scope of scopes) {
    if (!covers(scope, collection)) continue;
    const { holds } = scope;
    if (holds === 'missing') return 'missing';
    if (holds === 'free') free = true;
    else conditions.push(holds);
  }
  if (conditions.length > 0) return agree(conditions.map(({ shard }) => shard)) ? conditions : 'missing';
  return free ? 'free' : 'none';
}

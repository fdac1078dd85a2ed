import { type PathStep, type PayloadField, reaches } from './payload-path.ts';
import type { TenantCondition, TenantValue } from './tenancy.ts';

/** A reader of one protocol's payloads. `V` = any of their values; a request with duplicate members is refused before. */
export interface PayloadReader<V> {
  /** The member of an object; `undefined` = it has none; `no-object` = the value is no object. */
  readonly member: (value: V, key: string) => V | undefined | 'no-object';
  /** True = the value is null: in the place of an object above a field it is as if it were not there. */
  readonly isNull: (value: V) => boolean;
  /** The text, boolean or integer of 64 bits; `undefined` = anything else, a float included. */
  readonly scalar: (value: V) => TenantValue | undefined;
}

/**
 * The field of a condition in a written payload.
 * - `holds`: it has an allowed value
 * - `absent`: it is not there, and can be added without replacing anything but a null above it
 * - `other`: another value, another type, or something on the way to it that is no object
 */
export type Standing = 'holds' | 'absent' | 'other';

/** The field in a whole payload: that of an upsert, or one that overwrites. */
export function standing<V>(
  reader: PayloadReader<V>,
  payload: V,
  { field, values }: Pick<TenantCondition, 'field' | 'values'>,
  from = 0,
): Standing {
  let value = payload;
  for (const key of field.slice(from)) {
    const member = reader.isNull(value) ? undefined : reader.member(value, key);
    if (member === undefined) return 'absent';
    if (member === 'no-object') return 'other';
    value = member;
  }
  const scalar = reader.scalar(value);
  return scalar !== undefined && values.includes(scalar) ? 'holds' : 'other';
}

/**
 * The effect on the field of setting `payload` at `at`. Upstream merges the members of `payload` into the object at `at`, each as
 * a whole (Qdrant v1.19.0, `merge_map`).
 * - `untouched`: nothing
 * - `holds`: sets it to an allowed value
 * - `absent`: replaces what is above it, so it must be added
 * - `other`: changes it, or might
 *
 * @param at the `key` of the request; empty = the root
 */
export function settingStanding<V>(
  reader: PayloadReader<V>,
  payload: V,
  at: readonly PathStep[],
  condition: Pick<TenantCondition, 'field' | 'values'>,
): Standing | 'untouched' {
  const { field } = condition;
  if (!reaches(at, field)) return 'untouched';
  const first = field[at.length];
  const plain = at.every((step) => typeof step === 'object' && 'key' in step);
  if (first === undefined || !plain) return 'other';
  const member = reader.member(payload, first);
  if (member === undefined) return 'untouched';
  return member === 'no-object' ? 'other' : standing(reader, member, condition, at.length + 1);
}

/** True = a whole payload has the field. Objects within arrays are not looked at. */
export function hasField<V>(reader: PayloadReader<V>, payload: V, field: PayloadField): boolean {
  let value = payload;
  for (const key of field) {
    const member = reader.isNull(value) ? undefined : reader.member(value, key);
    if (member === undefined || member === 'no-object') return false;
    value = member;
  }
  return true;
}

/** True = setting `payload` at `at` changes the field, or replaces what is above it, or might. @param at as in `settingStanding` */
export function setsField<V>(
  reader: PayloadReader<V>,
  payload: V,
  at: readonly PathStep[],
  field: PayloadField,
): boolean {
  if (!reaches(at, field)) return false;
  const first = field[at.length];
  const plain = at.every((step) => typeof step === 'object' && 'key' in step);
  return first === undefined || !plain || reader.member(payload, first) !== undefined;
}

/** The values of a condition by type, each once, in their order: the forms of a match. */
export interface ValuesByType {
  readonly texts: readonly string[];
  readonly integers: readonly bigint[];
  readonly booleans: readonly boolean[];
}

export function valuesByType({ values }: Pick<TenantCondition, 'values'>): ValuesByType {
  const all = [...new Set(values)];
  return {
    texts: all.filter((value) => typeof value === 'string'),
    integers: all.filter((value) => typeof value === 'bigint'),
    booleans: all.filter((value) => typeof value === 'boolean'),
  };
}

/** The value that is set where a payload has none; `undefined` = there is more than one, so the payload must have it. */
export function onlyValue({ values }: Pick<TenantCondition, 'values'>): TenantValue | undefined {
  const [first, ...more] = new Set(values);
  return more.length === 0 ? first : undefined;
}

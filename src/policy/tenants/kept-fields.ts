import { tenantField } from '../denial.ts';
import {
  liesWithin,
  type PathStep,
  type PayloadField,
  parsePath,
  pathText,
  reaches,
  reachesThroughArrays,
} from './payload-path.ts';
import { TenantRefusal } from './refusal.ts';
import type { TenantCondition } from './tenancy.ts';

/* Fields of the payload that the caller does not read, and those that it does not write. */

/** The fields that answers must not show. */
export function hiddenFields(conditions: readonly TenantCondition[]): readonly PayloadField[] {
  return conditions.flatMap(({ field, hides, hiddenFields: more = [] }) => (hides ? [field, ...more] : more));
}

/** The fields on which the caller sets no condition, either: one tells their values. That of the tenant is not among them. */
export function unfilteredFields(conditions: readonly TenantCondition[]): readonly PayloadField[] {
  return conditions.flatMap(({ hiddenFields: fields = [] }) => fields);
}

/** The fields that the caller does not write. */
export function readOnlyFields(conditions: readonly TenantCondition[]): readonly PayloadField[] {
  return conditions.flatMap(({ readOnlyFields: fields = [] }) => fields);
}

/** Throws a refusal where an answer with the values at this path would show a hidden field. A path that upstream refuses passes. */
export function judgeShown(fields: readonly PayloadField[], key: string | undefined): void {
  const path = fields.length === 0 || key === undefined ? undefined : parsePath(key);
  if (path) judgeRead(fields, path);
}

/** The same of a parsed path. */
export function judgeRead(fields: readonly PayloadField[], path: readonly PathStep[]): void {
  const field = fields.find((one) => reachesThroughArrays(path, one));
  if (field) throw refused('read', field);
}

/** The same of the path to an array whose objects meet a condition: what lies above a field may have others in it. */
export function judgeArray(fields: readonly PayloadField[], path: readonly PathStep[]): void {
  const field = fields.find((one) => liesWithin(path, one));
  if (field) throw refused('read', field);
}

/** Throws a refusal where a change at this path would change a field that the caller does not write. */
export function judgeChanged(fields: readonly PayloadField[], path: readonly PathStep[]): void {
  const field = fields.find((one) => reaches(path, one));
  if (field) throw refused('change', field);
}

/** Why a payload with the field cannot be written. */
export function writesField(field: PayloadField): TenantRefusal {
  return refused('change', field);
}

function refused(what: string, field: PayloadField): TenantRefusal {
  return new TenantRefusal(tenantField(`would ${what} the field \`${pathText(field)}\``));
}

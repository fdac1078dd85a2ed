import { badRequest, tenantField } from '../denial.ts';
import { type PathStep, type PayloadField, pathText, reaches, reachesThroughArrays } from './payload-path.ts';
import { TenantRefusal } from './refusal.ts';
import { requestPath } from './request-path.ts';
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
  const path = fields.length === 0 || key === undefined ? undefined : requestPath(key);
  const field = path && fields.find((one) => reachesThroughArrays(path, one));
  if (field) throw readsField(field);
}

/** The same of the field whose texts a query scores by. A query that names no field by a path is refused. */
export function judgeScoring(fields: readonly PayloadField[], using: string | undefined): void {
  if (fields.length === 0) return;
  const path = using === undefined ? undefined : requestPath(using);
  if (!path) throw new TenantRefusal(NO_SCORED_FIELD);
  const field = fields.find((one) => reachesThroughArrays(path, one));
  if (field) throw readsField(field);
}

const NO_SCORED_FIELD = badRequest('tenant_form', 'a query of texts must name a payload field in `using`');

/** Why what tells the values of a field is refused. */
export function readsField(field: PayloadField): TenantRefusal {
  return refused('read', field);
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

import type { Principal } from '../../identity/principal.ts';
import { grantsIn, grantsOn, lists } from '../../policy/access.ts';
import type { Denial } from '../../policy/denial.ts';
import type { DenialCode } from '../../policy/denial-codes.ts';
import { countsOn, type Limit, limitsFor } from '../../policy/limits/limits.ts';
import { boundsFor } from '../../policy/search/bounds.ts';
import { tenantUse } from '../../policy/tenants/operations.ts';
import { pathText } from '../../policy/tenants/payload-path.ts';
import { rulingOn, type TenantCondition } from '../../policy/tenants/tenancy.ts';
import { type Cell, judgeCell } from '../cell.ts';
import type { OfflineParts } from '../parts.ts';

/** The verdict on a class of requests. */
export interface CellVerdict {
  readonly allowed: boolean;
  /** Of a refusal. */
  readonly code?: DenialCode;
  /** Restrictions of a permitted request, as texts in a fixed order: tenants, bounds, limits, shadow. */
  readonly conditions: readonly string[];
}

/**
 * The verdict of one state.
 *
 * @param shown set = the question is whether the answer shows this collection
 */
export function verdictOf(parts: OfflineParts, identity: Principal | Denial, cell: Cell, shown?: string): CellVerdict {
  const { ending, principal, shadowed, resolution } = judgeCell(parts, identity, cell);
  if (!ending || ending.kind === 'refused') {
    return { allowed: false, ...(ending && { code: ending.denial.code }), conditions: [] };
  }
  const { visible } = ending.permit;
  if (shown !== undefined && visible && !lists(visible, shown)) return HIDDEN;
  const shadow = shadowed ? [`shadow: ${shadowed.rule} would deny, ${shadowed.denial.code}`] : [];
  if (!principal || !resolution) return { allowed: true, conditions: shadow };
  return { allowed: true, conditions: [...restrictions(parts, principal, cell), ...shadow] };
}

const HIDDEN: CellVerdict = Object.freeze({ allowed: false, conditions: Object.freeze([]) });

function restrictions({ policy }: OfflineParts, principal: Principal, cell: Cell): readonly string[] {
  const { row, collection } = cell;
  const { operation } = row;
  const { tenancy } = principal;
  const ruling =
    tenancy && collection !== undefined && tenantUse(operation.name) === 'rewrite' ? rulingOn(tenancy, collection) : [];
  const bounds = boundsFor(policy.bounds ?? [], principal, operation, collection);
  const limits = limitsFor(policy.limits ?? [], principal).filter((limit) => countsOn(limit, operation, collection));
  return [
    ...(typeof ruling === 'string' ? [] : ruling.map(tenantText)),
    ...mostCollections(principal, cell),
    ...bounds.map(
      ({ mode, most: { keys: _keys, subjects: _subjects, collections: _collections, ...most } }) =>
        `bounds${inMode(mode)}: ${JSON.stringify(most)}`,
    ),
    ...limits.map(limitText),
  ].sort();
}

function tenantText({ field, values, hides, sharedStatistics, ...more }: TenantCondition): string {
  const { hiddenFields = [], readOnlyFields = [], shard } = more;
  const wanted = values.map(valueText).join(' or ');
  const fallback = shard?.fallback === undefined ? '' : ` or ${valueText(shard.fallback)}`;
  return [
    `tenant: ${pathText(field)} = ${wanted}`,
    ...(hides ? ['hidden'] : []),
    ...(hiddenFields.length > 0 ? [`without reading ${hiddenFields.map(pathText).join(' and ')}`] : []),
    ...(readOnlyFields.length > 0 ? [`without writing ${readOnlyFields.map(pathText).join(' and ')}`] : []),
    ...(sharedStatistics ? ['shared statistics'] : []),
    ...(shard ? [`shard key ${valueText(shard.key)}${fallback}`] : []),
  ].join(', ');
}

function valueText(value: string | bigint | boolean): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function limitText({ mode, each, quotas, concurrent }: Limit): string {
  const amounts = Object.entries(quotas).map(([what, { per, most }]) => `${most} ${what} per ${per}`);
  const all = concurrent === undefined ? amounts : [...amounts, `${concurrent} at once`];
  return `limit${inMode(mode)}: ${all.join(', ')}, each ${each}`;
}

function inMode(mode: 'enforce' | 'shadow'): string {
  return mode === 'shadow' ? ' in shadow' : '';
}

/** The most collections that may exist after a creation. */
function mostCollections({ access }: Principal, { row, collection }: Cell): readonly string[] {
  if (row.operation.manages?.right !== 'create' || collection === undefined) return [];
  return grantsIn(access).flatMap((grants) => {
    const own = grantsOn(grants, collection).filter(({ manage }) => manage.has('create'));
    const most = own.map(({ maxCollections }) => maxCollections);
    return most.some((one) => one === undefined) ? [] : [`most collections: ${most.join(' or ')}`];
  });
}

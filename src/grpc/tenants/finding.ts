import type { TenantFinding } from '../../exchange/tenants.ts';
import { type Conditional, type Permit, type References, settle } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { GrpcOperation } from '../../policy/operation.ts';
import { namesOf, referencesOf } from '../message/inspect.ts';
import { rowForNames } from '../message/inspect-shapes.ts';
import type { RewriteFinding } from './thread/rewrite-task.ts';

/** The outcome of rewriting one message, as the steps of an exchange take it. */
export interface CallFinding {
  readonly found: References | Denial;
  /** `undefined` = the names are refused already, or there is no outcome. */
  readonly tenant: TenantFinding;
  /** Set = facts of this collection decide: to be rewritten again with them. */
  readonly needsFactsOf?: string;
}

/** Reads the outcome for a decided call. */
export function callFinding(
  operation: GrpcOperation,
  decision: Permit | Conditional,
  { names, tenant }: RewriteFinding,
): CallFinding {
  const found = references(rowForNames(operation), decision, names);
  const refused =
    'kind' in found || (decision.kind === 'conditional' && !decision.sure && settle(decision, found).kind === 'denial');
  if (!refused && found.target !== undefined && tenant === 'needs-facts')
    return { found, tenant: undefined, needsFactsOf: found.target };
  return { found, tenant: refused || tenant === 'needs-facts' ? undefined : tenant };
}

function references(
  row: GrpcOperation,
  decision: Permit | Conditional,
  names: RewriteFinding['names'],
): References | Denial {
  if (!names) return INTERNAL_FAULT;
  if ('kind' in names) return names;
  return decision.kind === 'conditional' ? referencesOf(row, names, decision.access) : namesOf(row, names);
}

import type { Principal } from '../identity/principal.ts';
import type { Denial } from '../policy/denial.ts';
import { covers } from '../policy/names/collection-names.ts';
import { firstRefusal, WHOLE_POLICY } from '../policy/rules.ts';
import type { Judged } from './judge.ts';
import type { OfflineParts } from './parts.ts';
import { askSource, sourcesOf } from './why.ts';

/** The part of keys, tokens and policy that decided. */
export interface DecidedBy {
  readonly kind:
    | 'public'
    | 'credential'
    | 'access'
    | 'rule'
    | 'guard'
    | 'limit'
    | 'tenant'
    | 'mode'
    | 'request'
    | 'gateway';
  /** Id of the rule, guard, limit or tenant, or the place of the access: `access claim`, `key k7f3`. */
  readonly id?: string;
  /** The entry in it, for example `access[1]`; absent = it has no entries, or none covers the request. */
  readonly path?: string;
}

/** A request that has been judged, whole or as a cell, with the headers of its credential. */
export type Decided = Pick<Judged, 'exchange' | 'ending' | 'headers'>;

/** The part that decided a judged request. For a permit: the entry of the credential that gives the access. */
export function decidedBy({ exchange, ending, headers }: Decided, parts: OfflineParts): DecidedBy {
  const { principal, resolution, rail, shadowed } = exchange;
  const denial = ending.kind === 'refused' ? ending.denial : undefined;
  if (!denial && resolution?.operation.requires.scope === 'public') return { kind: 'public' };
  if (!denial && shadowed?.rule === WHOLE_POLICY) return { kind: 'mode', id: parts.policy.mode };
  if (denial?.why === 'authentication' || !principal) return byStranger(denial);
  if (denial && rail !== undefined) return { kind: 'guard', id: rail };
  if (denial?.reached) return { kind: 'limit', id: denial.reached.limit };
  if (denial && isOfTenant(denial)) return byTenant(principal, exchange.references?.target ?? targetName(exchange));
  if (denial?.why === 'unknown' && resolution?.operation.withheld) return { kind: 'request' };
  if (denial && denial.why !== 'access' && denial.why !== 'unknown')
    return { kind: denial.why === 'request' ? 'request' : 'gateway' };
  return byAccess(exchange, principal, headers, denial, parts);
}

function byStranger(denial: Denial | undefined): DecidedBy {
  if (denial?.why === 'fault') return { kind: 'gateway' };
  if (denial?.why === 'request' || denial?.why === 'unknown') return { kind: 'request' };
  return denial?.key ? { kind: 'credential', id: denial.key.id } : { kind: 'credential' };
}

function byAccess(
  exchange: Judged['exchange'],
  principal: Principal,
  headers: readonly string[],
  denial: Denial | undefined,
  parts: OfflineParts,
): DecidedBy {
  const { resolution, references } = exchange;
  if (!resolution) return { kind: 'gateway' };
  const { operation, target } = resolution;
  if (denial?.code === 'reason_required') return { kind: 'credential', id: principal.keyId };
  const rule = denial && firstRefusal(principal.bounds?.enforced ?? [], operation, target, references);
  const verdicts = sourcesOf(principal, headers, parts).map((source) =>
    askSource(source, operation, target, references),
  );
  const [own] = verdicts;
  // The credential alone refuses: no rule has a part in it.
  if (own?.denial && denial) return { kind: 'access', id: own.place };
  if (rule) return { kind: 'rule', id: rule.rule };
  if (denial && principal.tenancy) return byTenant(principal, references?.target ?? targetName(exchange));
  if (denial)
    return denial.code === 'url_recovery_disabled' ? { kind: 'gateway' } : { kind: 'access', id: own?.place ?? '' };
  return { kind: 'access', id: own?.place ?? '', ...(own?.entry !== undefined && { path: own.entry }) };
}

function isOfTenant({ code }: Denial): boolean {
  return code.startsWith('tenant_');
}

/** The entries of tenants that cover the collection. */
function byTenant({ tenancy }: Principal, collection: string | undefined): DecidedBy {
  const ids = (tenancy?.scopes ?? []).flatMap((scope) =>
    typeof scope.holds === 'object' && collection !== undefined && covers(scope, collection) ? [scope.holds.id] : [],
  );
  return ids.length > 0 ? { kind: 'tenant', id: [...new Set(ids)].join(', ') } : { kind: 'tenant' };
}

function targetName({ resolution }: Judged['exchange']): string | undefined {
  return resolution?.target.kind === 'collection' ? resolution.target.name : undefined;
}

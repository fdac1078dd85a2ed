import { type Access, isTrusted } from './access.ts';
import type { Conditional, Permit } from './decide.ts';
import { type Denial, URL_RECOVERY_DISABLED } from './denial.ts';
import type { Operation, RestOperation } from './operation.ts';
import { tenantUse } from './tenants/operations.ts';
import type { ReleaseFeatures } from './tenants/rewriting.ts';
import type { Tenancy } from './tenants/tenancy.ts';

/** Callers whose bodies have a nesting limit: those without global manage, or all. */
export type NestingGuard = 'below_manage' | 'all';

/** Settings that decide which bodies are checked. */
export interface BodyRules {
  readonly nestingGuard: NestingGuard;
  /** True = snapshots may be recovered from URLs. Upstream: `service.enable_snapshot_url_recovery` (Qdrant v1.18.0). */
  readonly snapshotUrlRecovery: boolean;
  /**
   * True = upstream may take `.` and `..` for names. May change while the gateway runs.
   *
   * @param permitted the request goes upstream anyway, so upstream may be asked for its release
   */
  readonly refusesDotNames: (permitted: boolean) => boolean;
  /** Ends once upstream's release is known, or cannot be known for now; `undefined` = at once. Does not reject. */
  readonly releaseSettled: () => Promise<void> | undefined;
  /** The features of upstream's release that tenants need. May change while the gateway runs. */
  readonly features: () => ReleaseFeatures;
}

/**
 * The checks that a body must pass before all of it may go upstream. A check that is not needed has no key.
 * - `names`: finds the collections the body names, on which the decision depends. Also measures nesting
 * - `depth`: limits nesting to the depth that upstream can parse. Upstream parses nothing before the body is complete,
 *   so this check alone may run while the body streams, as long as its last byte waits for the result
 * - `location`: rejects snapshot recovery from a URL
 * - `dotNames`: rejects `.` and `..` as the name of a collection, an alias, a vector or a snapshot, for every caller
 * - `tenant`: makes the request anew for the tenancy of the principal, whether it has a body or not
 * - `facts`: finds the numbers that limits on cost, or bounds on searches, depend on
 * - `whole`: waits for the end of the body, by whose length a limit counts it
 */
export interface BodyNeeds {
  readonly names?: true;
  readonly depth?: true;
  readonly location?: true;
  readonly dotNames?: true;
  readonly tenant?: true;
  readonly facts?: true;
  readonly whole?: true;
}

/** The facts of a request that `bodyNeeds` reads beside the decision. An exchange has them. */
export interface BodyFacts {
  /** True = the request has, or may have, a body. */
  readonly hasBody: boolean;
  /** The caller; `undefined` = the operation is public. */
  readonly principal: { readonly access: Access; readonly tenancy?: Tenancy | undefined } | undefined;
  /** True = limits or bounds depend on the numbers in the body. */
  readonly wantsFacts?: boolean;
  /** True = a limit counts the length of the body, once it is there. */
  readonly wantsWhole?: boolean;
}

/** Rows whose body names the location of a snapshot. */
const BY_LOCATION: ReadonlySet<string> = new Set(['snapshots.recover', 'shard_snapshots.recover']);
/** The row whose body always names a peer to fetch from. */
const BY_PEER = 'partial_snapshots.recover_from';

const NAMES: BodyNeeds = Object.freeze({ names: true });
const DEPTH: BodyNeeds = Object.freeze({ depth: true });
const LOCATION: BodyNeeds = Object.freeze({ location: true });
const DOT_NAMES: BodyNeeds = Object.freeze({ dotNames: true });
const TENANT: BodyNeeds = Object.freeze({ tenant: true });
const FACTS: BodyNeeds = Object.freeze({ facts: true });
const WHOLE: BodyNeeds = Object.freeze({ whole: true });

/**
 * The checks the body of a request needs. The only place that decides this. Pure. `undefined` = none; a `Denial` = no
 * body could pass.
 */
export function bodyNeeds(
  decision: Permit | Conditional,
  { hasBody, principal, wantsFacts, wantsWhole }: BodyFacts,
  rules: BodyRules,
): BodyNeeds | Denial | undefined {
  const { kind, operation } = decision;
  let needs: BodyNeeds | undefined;
  if (kind === 'conditional') needs = NAMES;
  else if (hasBody && isParsed(operation) && isMeasured(principal?.access, rules)) needs = DEPTH;
  if (!rules.snapshotUrlRecovery) {
    if (operation.name === BY_PEER) return URL_RECOVERY_DISABLED;
    if (BY_LOCATION.has(operation.name)) needs = { ...needs, ...LOCATION };
  }
  if (operation.pathNames && hasBody && rules.refusesDotNames(kind === 'permit')) needs = { ...needs, ...DOT_NAMES };
  if (principal?.tenancy !== undefined && isRewritten(decision)) needs = { ...needs, ...TENANT };
  // A body that the decision depends on is read whole in any case.
  if (wantsWhole && kind === 'permit') needs = { ...needs, ...WHOLE };
  return wantsFacts ? { ...needs, ...FACTS } : needs;
}

/** True = for a principal with a tenancy the request must be made anew. */
export function isRewritten(decision: Permit | Conditional): boolean {
  const permit = decision.kind === 'permit' ? decision : decision.sure;
  return permit?.tenant === undefined && tenantUse(decision.operation.name) === 'rewrite';
}

/** True = every needed check is in `known`. A reader must deny or hand over a check that it does not know. */
export function needsOnly(needs: BodyNeeds, known: ReadonlySet<string>): boolean {
  for (const need in needs) if (!known.has(need)) return false;
  return true;
}

const DEPTH_ALONE: ReadonlySet<string> = new Set<keyof BodyNeeds>(['depth']);

/**
 * True = the body may be measured while it streams. Any other check, including an unknown one, needs the complete body.
 */
export function isDepthOnly(needs: BodyNeeds): boolean {
  return needs.depth === true && needsOnly(needs, DEPTH_ALONE);
}

/** False = the body is a snapshot, which is too large to be waited for. */
export function isHeldWhole(operation: Operation | RestOperation): boolean {
  return !('body' in operation) || operation.body !== 'multipart';
}

/** True = upstream parses the body of this operation. Unknown operations count as parsed; a gRPC message always is. */
function isParsed(operation: Operation | RestOperation): boolean {
  if (operation.unlisted || !('body' in operation)) return true;
  return operation.body === 'json' || operation.body === 'json-strict';
}

function isMeasured(access: Access | undefined, { nestingGuard }: BodyRules): boolean {
  return nestingGuard === 'all' || !isTrusted(access);
}

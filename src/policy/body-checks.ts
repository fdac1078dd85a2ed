import { type Access, isTrusted } from './access.ts';
import type { Conditional, Permit } from './decide.ts';
import { type Denial, URL_RECOVERY_DISABLED } from './denial.ts';
import type { Operation, RestOperation } from './operation.ts';

/** Whose bodies are measured for nesting: those of every principal below global manage, or all. */
export type NestingGuard = 'below_manage' | 'all';

/** The settings that decide which bodies are checked. */
export interface BodyRules {
  readonly nestingGuard: NestingGuard;
  /** Snapshots may be recovered from URLs. Upstream: `service.enable_snapshot_url_recovery` (Qdrant v1.18.0). */
  readonly snapshotUrlRecovery: boolean;
}

/**
 * The checks a body has to pass before all of it may go upstream. A check that is not needed has no key.
 * - `names`: which collections it names; the decision depends on them. Measures nesting, too
 * - `depth`: that it nests no deeper than upstream bears. Upstream parses nothing before the body is whole, so this check
 *   alone may run while the body passes, as long as its last byte waits for the result
 * - `location`: that a snapshot is not recovered from a URL
 */
export interface BodyNeeds {
  readonly names?: true;
  readonly depth?: true;
  readonly location?: true;
}

/** The facts of a request that `bodyNeeds` reads beside the decision; an exchange has them. */
export interface BodyFacts {
  /** The request has, or may have, a body. */
  readonly hasBody: boolean;
  /** The caller; `undefined` = the operation is public. */
  readonly principal: { readonly access: Access } | undefined;
}

/** Rows whose body says where a snapshot comes from. */
const BY_LOCATION: ReadonlySet<string> = new Set(['snapshots.recover', 'shard_snapshots.recover']);
/** The row whose body always names a peer to fetch from. */
const BY_PEER = 'partial_snapshots.recover_from';

const NAMES: BodyNeeds = Object.freeze({ names: true });
const DEPTH: BodyNeeds = Object.freeze({ depth: true });
const LOCATION: BodyNeeds = Object.freeze({ location: true });

/**
 * The one place that says which checks the body of a request needs. Pure. `undefined` = none; a `Denial` = no body could
 * pass them.
 */
export function bodyNeeds(
  { kind, operation }: Permit | Conditional,
  { hasBody, principal }: BodyFacts,
  rules: BodyRules,
): BodyNeeds | Denial | undefined {
  let needs: BodyNeeds | undefined;
  if (kind === 'conditional') needs = NAMES;
  else if (hasBody && isParsed(operation) && isMeasured(principal?.access, rules)) needs = DEPTH;
  if (rules.snapshotUrlRecovery) return needs;
  if (operation.name === BY_PEER) return URL_RECOVERY_DISABLED;
  if (!BY_LOCATION.has(operation.name)) return needs;
  return needs ? { ...needs, ...LOCATION } : LOCATION;
}

/** Is every needed check among `known`? A check that its reader does not know has to be denied or handed over. */
export function needsOnly(needs: BodyNeeds, known: ReadonlySet<string>): boolean {
  for (const need in needs) if (!known.has(need)) return false;
  return true;
}

const DEPTH_ALONE: ReadonlySet<string> = new Set<keyof BodyNeeds>(['depth']);

/** May the body be measured while it passes? Any other check needs all of it first, an unknown one, too. */
export function isDepthOnly(needs: BodyNeeds): boolean {
  return needs.depth === true && needsOnly(needs, DEPTH_ALONE);
}

/** Is a body of this operation parsed by upstream? What is unknown is taken to be; a gRPC message always is. */
function isParsed(operation: Operation | RestOperation): boolean {
  if (operation.unlisted || !('body' in operation)) return true;
  return operation.body === 'json' || operation.body === 'json-strict';
}

function isMeasured(access: Access | undefined, { nestingGuard }: BodyRules): boolean {
  return nestingGuard === 'all' || !isTrusted(access);
}

import type { Access, ListAccess, ScopedAccess } from './access.ts';
import { type Denial, UNKNOWN_OPERATION } from './denial.ts';
import type { GuardRail } from './guards/guard-rail.ts';
import { countsCollections, mayManage, meetsManaging } from './manage.ts';
import type { Managed, Operation, Target } from './operation.ts';
import { meetsGlobally, meetsOnCollection, meetsOnReferences } from './requirements.ts';
import type { Facts } from './search/facts.ts';
import type { Rewriting } from './tenants/rewriting.ts';

/** Proof of a permit. `forward` requires one, and only this file creates one. */
class PermitProof {
  readonly kind = 'permit';
  readonly #proof = true;
  readonly operation: Operation;
  /** The access that the answer must be filtered by; `undefined` = unfiltered. */
  readonly visible: ScopedAccess | undefined;
  /** The request that is sent for a principal with a tenancy, which sends none without it; `undefined` for all others. */
  readonly tenant: TenantOutcome | undefined;

  constructor(operation: Operation, visible: ScopedAccess | undefined, tenant?: TenantOutcome) {
    this.operation = operation;
    this.visible = visible;
    this.tenant = tenant;
  }

  /** True = a real proof: a look-alike object has no private field. */
  static isProof(value: object): boolean {
    return #proof in value && value.#proof;
  }
}

export type Permit = PermitProof;

/** The request in the place of the client's; `as-it-is` = the client's own, judged by the tenancy. */
export type TenantOutcome = Rewriting | 'as-it-is';

/** Not decided by headers and path: the body names the target, other collections, or both. */
export interface Conditional {
  readonly kind: 'conditional';
  readonly operation: Operation;
  /** Never global: a global access does not depend on names. */
  readonly access: ScopedAccess;
  /** The target if the path names it; `undefined` = the message names it. */
  readonly target: string | undefined;
  /** Set = permitted whatever the body names; the body is read for rules in shadow, for guard rails, or for learning. */
  readonly sure?: Permit;
  /** Set = the number of collections decides. */
  readonly counted?: true;
  /** All collections there are, as known before the body is read; absent = unknown, which refuses a counted one. */
  readonly existing?: readonly string[];
  /** Set = refused whatever the body names; only the words depend on it. */
  readonly refusal?: Denial;
  /** Set = guard rails depend on the names, too. */
  readonly rails?: readonly GuardRail[];
}

export type Decision = Permit | Denial | Conditional;

/** Collections that an inspector found in a body. */
export interface References {
  /** The main collection; only if the conditional had no target. */
  readonly target?: string;
  /** Other names in checking order: `lookup_from`, prefetches depth-first, `with_lookup`; or those of an alias change. */
  readonly others: readonly string[];
  /** All collections there are, if their number decides and they are known. */
  readonly existing?: readonly string[];
  /** The numbers of the body, if they were asked for. */
  readonly facts?: Facts;
}

/** The permit of a public operation, before credentials are read. `undefined` = not public. */
export function decidePublic(operation: Operation): Permit | undefined {
  return operation.requires.scope === 'public' ? new PermitProof(operation, undefined) : undefined;
}

/**
 * Decides by headers and path. Pure and synchronous. Default: deny.
 *
 * @param target the collection, as far as it is known without the body
 */
export function decide(access: Access, operation: Operation, target: Target): Decision {
  const requires = operation.requires;
  if (operation.unlisted) {
    if (operation.withheld || meetsGlobally(access, operation)) return UNKNOWN_OPERATION;
    return new PermitProof(operation, undefined);
  }
  switch (requires.scope) {
    case 'public':
      return new PermitProof(operation, undefined);
    case 'authenticated':
      return new PermitProof(operation, undefined);
    case 'list':
      return new PermitProof(operation, access.kind === 'global' ? undefined : access);
    case 'global':
      if (operation.manages && access.kind !== 'global')
        return decideManaged(access, operation, operation.manages, target);
      return meetsGlobally(access, operation) ?? new PermitProof(operation, undefined);
    case 'collection':
      return decideOnCollection(access, operation, target);
    default:
      return unreachable(requires.scope);
  }
}

function decideOnCollection(access: Access, operation: Operation, target: Target): Decision {
  if (access.kind === 'global') {
    return meetsGlobally(access, operation) ?? new PermitProof(operation, undefined);
  }
  if (target.kind === 'none') return UNKNOWN_OPERATION; // INVARIANT: a collection row always has a target
  if (target.kind === 'in-message') return { kind: 'conditional', operation, access, target: undefined };
  const refused = meetsOnCollection(access, operation, target.name);
  if (refused) return refused;
  if (operation.inspect) return { kind: 'conditional', operation, access, target: target.name };
  return permitOnCollection(operation, access);
}

/** A right over whole collections that a grant may give: the names decide, and they may stand in the body. */
function decideManaged(
  access: ScopedAccess,
  operation: Operation,
  { right, inspect }: Managed,
  target: Target,
): Decision {
  const never = mayManage(access, right);
  if (never) return never;
  const named = target.kind === 'collection' ? target.name : undefined;
  if (named !== undefined && !inspect) {
    const refused = meetsManaging(access, right, { target: named, others: [], existing: undefined });
    return refused ?? new PermitProof(operation, undefined);
  }
  const conditional: Conditional = { kind: 'conditional', operation, access, target: named };
  return right === 'create' && countsCollections(access) ? { ...conditional, counted: true } : conditional;
}

/**
 * Settles a conditional with the names found in the body.
 *
 * Upstream: the target is checked first, then the other names in checking order; the first failure decides the text.
 */
export function settle(conditional: Conditional, references: References): Permit | Denial {
  const { operation, access, refusal } = conditional;
  if (refusal) return refusal;
  const target = conditional.target ?? references.target;
  if (operation.manages) {
    const found = { target, others: references.others, existing: references.existing ?? conditional.existing };
    return meetsManaging(access, operation.manages.right, found) ?? new PermitProof(operation, undefined);
  }
  if (target === undefined) return UNKNOWN_OPERATION; // INVARIANT: an inspector without a target has refused already
  return (
    meetsOnCollection(access, operation, target) ??
    meetsOnReferences(access, operation, references.others) ??
    permitOnCollection(operation, access)
  );
}

function permitOnCollection(operation: Operation, access: ScopedAccess): Permit {
  return new PermitProof(operation, operation.filter ? access : undefined);
}

/**
 * The permit for a refused request while the whole policy is in shadow, which only reports refusals. `undefined` =
 * still refused: malformed requests, faults, and operations that are never forwarded.
 */
export function permitInShadow(operation: Operation, denial: Denial): Permit | undefined {
  if (operation.withheld) return undefined;
  const judged = denial.why === 'authentication' || denial.why === 'access';
  if (!judged && !(denial.why === 'unknown' && operation.unlisted)) return undefined;
  return new PermitProof(operation, undefined);
}

/**
 * Makes a permit wait for the names in the body, for reports only: the decision does not depend on them. Returns the
 * permit itself if the body names nothing.
 */
export function askForNames(permit: Permit, target: Target): Permit | Conditional {
  const { operation } = permit;
  if (operation.requires.scope !== 'collection' || operation.unlisted || target.kind === 'none') return permit;
  if (target.kind === 'collection' && !operation.inspect) return permit;
  const named = target.kind === 'collection' ? target.name : undefined;
  return { kind: 'conditional', operation, access: NO_ACCESS, target: named, sure: permit };
}

/** Makes a permit wait for every name in the body, the main one included. */
export function askForNamesOf(permit: Permit): Conditional {
  return { kind: 'conditional', operation: permit.operation, access: NO_ACCESS, target: undefined, sure: permit };
}

/** Makes a refusal wait for the names in the body, for its words. */
export function refusedWhatever(operation: Operation, refusal: Denial): Conditional {
  return { kind: 'conditional', operation, access: NO_ACCESS, target: undefined, refusal };
}

const NO_ACCESS: ListAccess = Object.freeze({ kind: 'list', modes: new Map() });

/** The same permit without a response filter, for a policy in shadow. */
export function unfiltered(permit: Permit): Permit {
  return permit.visible ? new PermitProof(permit.operation, undefined, permit.tenant) : permit;
}

/** The same permit for a principal with a tenancy: another request is sent, or the client's own was judged. */
export function replaced({ operation, visible }: Permit, tenant: TenantOutcome): Permit {
  return new PermitProof(operation, visible, tenant);
}

/** The same permit for a request that needs no rewriting. @param visible as in a permit */
export function permitForTenant({ operation }: Permit, visible: ScopedAccess | undefined): Permit {
  return new PermitProof(operation, visible, 'as-it-is');
}

/** True = a permit made by this module. Forwarders check it again at run time against forged objects. */
export function isPermit(value: object): value is Permit {
  return PermitProof.isProof(value);
}

function unreachable(value: never): Denial {
  void value;
  return UNKNOWN_OPERATION;
}

import type { Access, ListAccess } from './access.ts';
import { type Denial, UNKNOWN_OPERATION } from './denial.ts';
import type { Operation, Target } from './operation.ts';
import { meetsGlobally, meetsOnCollection, meetsOnReferences } from './requirements.ts';

/** Proof of a permit. `forward` requires one, and only this file creates one. */
class PermitProof {
  readonly kind = 'permit';
  readonly #proof = true;
  readonly operation: Operation;
  /** The list that the answer must be filtered by; `undefined` = unfiltered. */
  readonly visible: ListAccess | undefined;

  constructor(operation: Operation, visible: ListAccess | undefined) {
    this.operation = operation;
    this.visible = visible;
  }

  /** True = a real proof: a look-alike object has no private field. */
  static isProof(value: object): boolean {
    return #proof in value && value.#proof;
  }
}

export type Permit = PermitProof;

/** Not decided by headers and path: the body names the target, other collections, or both. */
export interface Conditional {
  readonly kind: 'conditional';
  readonly operation: Operation;
  /** Only a list access can be conditional; a global one never depends on names. */
  readonly access: ListAccess;
  /** The target if the path names it; `undefined` = the message names it. */
  readonly target: string | undefined;
  /** Set = permitted whatever the body names; the body is read for rules in shadow, or for learning. */
  readonly sure?: Permit;
}

export type Decision = Permit | Denial | Conditional;

/** Collections that an inspector found in a body. */
export interface References {
  /** The main collection; only if the conditional had no target. */
  readonly target?: string;
  /** Other collections in checking order: `lookup_from`, prefetches depth-first, `with_lookup`. */
  readonly others: readonly string[];
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
    if (operation.withheld || meetsGlobally(access, requires)) return UNKNOWN_OPERATION;
    return new PermitProof(operation, undefined);
  }
  switch (requires.scope) {
    case 'public':
      return new PermitProof(operation, undefined);
    case 'authenticated':
      return new PermitProof(operation, undefined);
    case 'list':
      return new PermitProof(operation, access.kind === 'list' ? access : undefined);
    case 'global':
      return meetsGlobally(access, requires) ?? new PermitProof(operation, undefined);
    case 'collection':
      return decideOnCollection(access, operation, target);
    default:
      return unreachable(requires.scope);
  }
}

function decideOnCollection(access: Access, operation: Operation, target: Target): Decision {
  if (access.kind === 'global') {
    return meetsGlobally(access, operation.requires) ?? new PermitProof(operation, undefined);
  }
  if (target.kind === 'none') return UNKNOWN_OPERATION; // INVARIANT: a collection row always has a target
  if (target.kind === 'in-message') return { kind: 'conditional', operation, access, target: undefined };
  const refused = meetsOnCollection(access, operation.requires, target.name);
  if (refused) return refused;
  if (operation.inspect) return { kind: 'conditional', operation, access, target: target.name };
  return permitOnCollection(operation, access);
}

/**
 * Settles a conditional with the names found in the body.
 *
 * Upstream: the target is checked first, then the other names in checking order; the first failure decides the text.
 */
export function settle(conditional: Conditional, references: References): Permit | Denial {
  const { operation, access } = conditional;
  const target = conditional.target ?? references.target;
  if (target === undefined) return UNKNOWN_OPERATION; // INVARIANT: an inspector without a target has refused already
  return (
    meetsOnCollection(access, operation.requires, target) ??
    meetsOnReferences(access, references.others) ??
    permitOnCollection(operation, access)
  );
}

function permitOnCollection(operation: Operation, access: ListAccess): Permit {
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

const NO_ACCESS: ListAccess = Object.freeze({ kind: 'list', modes: new Map() });

/** The same permit without a response filter, for a policy in shadow. */
export function unfiltered(permit: Permit): Permit {
  return permit.visible ? new PermitProof(permit.operation, undefined) : permit;
}

/** True = a permit made by this module. Forwarders check it again at run time against forged objects. */
export function isPermit(value: object): value is Permit {
  return PermitProof.isProof(value);
}

function unreachable(value: never): Denial {
  void value;
  return UNKNOWN_OPERATION;
}

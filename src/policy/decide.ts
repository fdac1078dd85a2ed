import type { Access, ListAccess } from './access.ts';
import { type Denial, UNKNOWN_OPERATION } from './denial.ts';
import type { Operation, Target } from './operation.ts';
import { meetsGlobally, meetsOnCollection, meetsOnReferences } from './requirements.ts';

/**
 * Proof that a request was allowed. `forward` takes one and only this file makes one.
 */
class PermitProof {
  readonly kind = 'permit';
  readonly #proof = true;
  readonly operation: Operation;
  /** The list an answer must be filtered by; `undefined` = the answer passes whole. */
  readonly visible: ListAccess | undefined;

  constructor(operation: Operation, visible: ListAccess | undefined) {
    this.operation = operation;
    this.visible = visible;
  }

  /** True for a real proof; an object that only looks like one has no private field. */
  static isProof(value: object): boolean {
    return #proof in value && value.#proof;
  }
}

export type Permit = PermitProof;

/** Headers alone do not settle it: the body names the target, other collections, or both. */
export interface Conditional {
  readonly kind: 'conditional';
  readonly operation: Operation;
  /** Only a list access is ever conditional; a global one never depends on names. */
  readonly access: ListAccess;
  /** The target when the path names it; `undefined` = the message does. */
  readonly target: string | undefined;
  /** The request is permitted whatever is found: the body is read for rules in shadow, or to learn from it. */
  readonly sure?: Permit;
}

export type Decision = Permit | Denial | Conditional;

/** What an inspector found in a body. */
export interface References {
  /** The main collection; only where the conditional had none. */
  readonly target?: string;
  /** Other collections in checking order: `lookup_from`, prefetches depth-first, `with_lookup`. */
  readonly others: readonly string[];
}

/** A permit for a public operation, before any credential is looked at. `undefined` = not public. */
export function decidePublic(operation: Operation): Permit | undefined {
  return operation.requires.scope === 'public' ? new PermitProof(operation, undefined) : undefined;
}

/**
 * The decision from what headers and path tell. Pure and synchronous; deny is what remains when nothing permits.
 *
 * @param target where the operation is aimed, as far as it is known without a body
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
 * Settles a conditional with what the body was found to name.
 *
 * Upstream: the target comes first, then the other names in checking order; the first failing one decides the text.
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
 * A permit against a refusal, for a gateway whose whole policy is in shadow: it shows what would be refused and protects
 * nothing. `undefined` = refused all the same: what cannot be carried, faults, and what is never forwarded.
 */
export function permitInShadow(operation: Operation, denial: Denial): Permit | undefined {
  if (operation.withheld) return undefined;
  const judged = denial.why === 'authentication' || denial.why === 'access';
  if (!judged && !(denial.why === 'unknown' && operation.unlisted)) return undefined;
  return new PermitProof(operation, undefined);
}

/**
 * A permit that waits for the names in the body although it does not depend on them, so that it can be told what was
 * asked for. The permit itself where the body names nothing.
 */
export function askForNames(permit: Permit, target: Target): Permit | Conditional {
  const { operation } = permit;
  if (operation.requires.scope !== 'collection' || operation.unlisted || target.kind === 'none') return permit;
  if (target.kind === 'collection' && !operation.inspect) return permit;
  const named = target.kind === 'collection' ? target.name : undefined;
  return { kind: 'conditional', operation, access: NO_ACCESS, target: named, sure: permit };
}

const NO_ACCESS: ListAccess = Object.freeze({ kind: 'list', modes: new Map() });

/** A permit whose answer passes whole, for the same gateway. */
export function unfiltered(permit: Permit): Permit {
  return permit.visible ? new PermitProof(permit.operation, undefined) : permit;
}

/** Is this a permit this module made? Forwarders check it once more, where a forged object would cost most. */
export function isPermit(value: object): value is Permit {
  return PermitProof.isProof(value);
}

function unreachable(value: never): Denial {
  void value;
  return UNKNOWN_OPERATION;
}

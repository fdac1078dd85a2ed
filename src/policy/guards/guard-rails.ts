import type { Decision, References } from '../decide.ts';
import { askForNamesOf } from '../decide.ts';
import { collectionFrozen, collectionProtected, type Denial, PROTECTED_UNNAMED, WRITES_FROZEN } from '../denial.ts';
import { covers } from '../names/collection-names.ts';
import type { Operation, Target } from '../operation.ts';
import type { Shadowed } from '../rules.ts';
import { effectOf } from './effects.ts';
import type { GuardRail } from './guard-rail.ts';

/*
 * Guard rails of the operator's policy: they hold for every caller. They are asked after the access, and only ever forbid.
 */

/** The header, or metadata, with the name of a protected collection that is meant. One name each. Never sent upstream. */
export const CONFIRM_HEADER = 'x-qdrant-gateway-confirm';

/** A row whose body names collections in a form of old releases, which is not read. */
const UNREAD = 'legacy.collections.change';

/** True = a frozen collection refuses it. An unknown operation writes. */
export function isWrite(operation: Operation): boolean {
  return effectOf(operation) !== 'reads';
}

/** True = a protected collection refuses it unless it is confirmed. An unknown operation may do anything. */
export function isLossy(operation: Operation): boolean {
  return effectOf(operation) === 'loses';
}

/** True = the rails may refuse the operation, depending on its names. */
export function concern(rails: readonly GuardRail[], operation: Operation): boolean {
  const [writes, loses] = [isWrite(operation), isLossy(operation)];
  return rails.some(({ protects, freezes }) => (writes && freezes !== undefined) || (loses && protects !== undefined));
}

/**
 * The collections that an operation is about; `'unread'` = they are in a body that has not been read; `undefined` = unknown for
 * good, so that every rail holds.
 */
export function concerned(
  operation: Operation,
  target: Target,
  found: References | undefined,
): readonly string[] | 'unread' | undefined {
  if (operation.unlisted || operation.name === UNREAD) return undefined;
  if (target.kind === 'collection') return [target.name];
  const { manages } = operation;
  if (target.kind === 'none' && !manages) return [];
  if (!found) return 'unread';
  if (manages?.right === 'aliases') return found.others;
  return found.target === undefined ? undefined : [found.target];
}

/** A decision that waits for the names in the body, for the rails. */
export function waitForNames(decision: Exclude<Decision, Denial>, rails: readonly GuardRail[]): Decision {
  return { ...(decision.kind === 'permit' ? askForNamesOf(decision) : decision), rails };
}

/** Facts about a request that guard rails depend on. */
export interface RailFacts {
  /** As `concerned` tells. */
  readonly names: readonly string[] | 'unread' | undefined;
  /** Of the request: name, value, name, value, one character per byte. */
  readonly headers: readonly string[];
  /** True = what is frozen is open to the caller, who has a break-glass key. Default: false. */
  readonly passesFreeze?: boolean;
}

/** The refusal of the rails of one mode, and the rail. `undefined` = no objection. The same for any order of the rails. */
export function railRefusal(
  rails: readonly GuardRail[],
  mode: GuardRail['mode'],
  operation: Operation,
  { names, headers, passesFreeze }: RailFacts,
): Shadowed | undefined {
  const frozen = passesFreeze ? undefined : frozenBy(rails, mode, operation, names);
  if (frozen || names === 'unread' || !isLossy(operation)) return frozen;
  return protect(
    rails.filter((rail) => rail.mode === mode),
    names,
    headers,
  );
}

/** The refusal of what is frozen, in one mode. `undefined` = none, as far as the names are known. */
export function frozenBy(
  rails: readonly GuardRail[],
  mode: GuardRail['mode'],
  operation: Operation,
  names: RailFacts['names'],
): Shadowed | undefined {
  if (!isWrite(operation)) return undefined;
  const own = rails.filter((rail) => rail.mode === mode);
  const frozen = own.find(({ freezes }) => freezes === 'all');
  if (frozen) return { rule: frozen.id, denial: WRITES_FROZEN };
  return names === 'unread' ? undefined : freeze(own, names);
}

function freeze(rails: readonly GuardRail[], names: readonly string[] | undefined): Shadowed | undefined {
  if (!names) {
    const first = rails.find(({ freezes }) => freezes !== undefined);
    return first && { rule: first.id, denial: WRITES_FROZEN };
  }
  for (const name of names) {
    const first = rails.find(({ freezes }) => freezes !== undefined && freezes !== 'all' && covers(freezes, name));
    if (first) return { rule: first.id, denial: collectionFrozen(name) };
  }
  return undefined;
}

function protect(
  rails: readonly GuardRail[],
  names: readonly string[] | undefined,
  headers: readonly string[],
): Shadowed | undefined {
  if (!names) {
    const first = rails.find(({ protects }) => protects !== undefined);
    return first && { rule: first.id, denial: PROTECTED_UNNAMED };
  }
  for (const name of names) {
    const first = rails.find(({ protects }) => protects !== undefined && covers(protects, name));
    if (first && !isConfirmed(headers, name)) return { rule: first.id, denial: collectionProtected(name) };
  }
  return undefined;
}

/** Byte for byte: the value is UTF-8, as the name is. */
function isConfirmed(headers: readonly string[], name: string): boolean {
  const bytes = Buffer.from(name, 'utf8').toString('latin1');
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at + 1] === bytes && headers[at]?.toLowerCase() === CONFIRM_HEADER) return true;
  }
  return false;
}

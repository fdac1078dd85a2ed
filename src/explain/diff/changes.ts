import { isDeepStrictEqual } from 'node:util';
import type { OfflineParts } from '../parts.ts';
import { type CollectionClass, claimedIn, collectionClasses, mentionedIn } from '../space/collections.ts';
import { principalClasses } from '../space/principals.ts';
import { rowClasses } from '../space/row-classes.ts';
import { type Space, type Surveyed, survey } from '../space/survey.ts';
import type { CellVerdict } from '../space/verdict.ts';

/**
 * - `gains`: refused before, allowed now
 * - `loses`: allowed before, refused now
 * - `changes`: allowed, under other restrictions
 * - `refused otherwise`: refused, with another code
 */
export type ChangeKind = 'gains' | 'loses' | 'changes' | 'refused otherwise';

/** A class of requests whose verdict changes. */
export interface Change extends Omit<Surveyed, 'verdicts'> {
  readonly kind: ChangeKind;
  readonly from: CellVerdict;
  readonly to: CellVerdict;
}

/** The classes that two states tell apart. @param more further names or patterns of collections */
export function spaceOf(states: readonly OfflineParts[], more: readonly string[] = []): Space {
  const own = states.map(({ state }) => state);
  const collections: readonly CollectionClass[] = collectionClasses(mentionedIn(own), more, claimedIn(own));
  return { principals: principalClasses(states), collections, rows: rowClasses(states) };
}

/** Every class of requests whose verdict differs between two states: none is left out, and none is added. */
export async function changesBetween(
  old: OfflineParts,
  next: OfflineParts,
  space: Space = spaceOf([old, next]),
  progress?: (done: number, all: number) => void,
): Promise<readonly Change[]> {
  const changes: Change[] = [];
  const note = ({ verdicts, ...where }: Surveyed): void => {
    const [from, to] = verdicts;
    const kind = from && to && kindOf(from, to);
    if (kind) changes.push({ ...where, kind, from, to });
  };
  const alike = isAlike(old, next);
  // The same caller under the same guards, bounds and limits is decided alike.
  await survey([old, next], space, note, ([from, to]) => alike && isDeepStrictEqual(from, to), progress);
  return changes;
}

/** True = all that decides beside the caller is the same: options, guards, bounds and limits. */
function isAlike(old: OfflineParts, next: OfflineParts): boolean {
  return isDeepStrictEqual(surroundings(old), surroundings(next));
}

function surroundings({ state: { config }, policy: { rules: _rules, ...policy }, assumptions }: OfflineParts): object {
  return { config: { ...config, gateway: { ...config.gateway, policy_file: null } }, policy, assumptions };
}

/** The kind of a difference; `undefined` = there is none. */
export function kindOf(from: CellVerdict, to: CellVerdict): ChangeKind | undefined {
  if (from.allowed !== to.allowed) return to.allowed ? 'gains' : 'loses';
  if (from.allowed) return sameTexts(from.conditions, to.conditions) ? undefined : 'changes';
  return from.code === to.code ? undefined : 'refused otherwise';
}

function sameTexts(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((text, at) => text === right[at]);
}

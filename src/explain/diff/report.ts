import type { State } from '../../config/state.ts';
import { partsToSurvey } from '../parts.ts';
import { leftOut } from '../space/left-out.ts';
import { changesBetween, spaceOf } from './changes.ts';
import { type ChangeGroup, groupChanges } from './groups.ts';
import { changedSettings } from './settings.ts';
import type { SourceChange } from './sources.ts';

/** All differences between two policies, as plain data. */
export interface PolicyDiff {
  /** Number of classes of requests whose verdict changes. */
  readonly changes: number;
  readonly groups: readonly ChangeGroup[];
  /** Changed settings of tokens, signing keys, the exchange, issuers and client certificates. */
  readonly settings: readonly SourceChange[];
  /** Callers that were not asked, as sentences. */
  readonly notes: readonly string[];
}

/**
 * Every class of requests whose verdict changes from one state to another.
 *
 * @param now milliseconds since 1970
 * @param progress called with the number of callers that have been asked, and of all
 */
export async function policyDiff(
  oldState: State,
  nextState: State,
  now: number,
  progress?: (done: number, all: number) => void,
): Promise<PolicyDiff> {
  const [old, next] = [partsToSurvey(oldState, now), partsToSurvey(nextState, now)];
  const space = spaceOf([old, next]);
  const changes = await changesBetween(old, next, space, progress);
  return {
    changes: changes.reduce((sum, { rows }) => sum + rows.rows.length, 0),
    groups: groupChanges(changes, space.principals),
    settings: changedSettings(oldState.policy, nextState.policy),
    notes: leftOut([oldState, nextState]),
  };
}

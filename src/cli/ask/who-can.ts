import type { Flags } from '../../config/load.ts';
import { nearest } from '../../config/nearest.ts';
import type { OnlineFlag } from '../../explain/online.ts';
import { partsToSurvey } from '../../explain/parts.ts';
import { leftOut } from '../../explain/space/left-out.ts';
import { mergedLabels } from '../../explain/space/merged-labels.ts';
import { isOnAliases, isOnCollection, ROWS, type Row, rowsNamed } from '../../explain/space/operations.ts';
import type { PrincipalClass } from '../../explain/space/principal-class.ts';
import { type WhoCan, whoCan } from '../../explain/who-can.ts';
import { OPERATION_GROUPS } from '../../policy/operation-groups.ts';
import type { Report } from '../frame/declare.ts';
import { textTable } from '../frame/table.ts';
import { UsageError } from '../output.ts';
import { decidedText } from './answer-text.ts';
import { notesText } from './policy-diff.ts';
import { withSharedKeys } from './shared-keys.ts';
import { stateToAsk } from './state.ts';

/** Flags of `who-can`. */
export interface WhoCanFlags {
  readonly policy?: string | undefined;
  readonly allowed?: boolean | undefined;
}

/** `who-can`: the verdict on every caller for one operation on one collection. */
export async function whoCanDo(
  args: readonly string[],
  flags: Flags & WhoCanFlags & OnlineFlag,
  now: number,
): Promise<Report> {
  const [operation = '', collection] = args;
  const rows = rowsOf(operation);
  const needs = rows.some((row) => isOnCollection(row) || isOnAliases(row));
  if (needs && collection === undefined) throw new UsageError(`name the collection: \`${operation}\` is on one`);
  if (!needs && collection !== undefined) throw new UsageError(`\`${operation}\` is on no collection: leave it out`);
  const state = await withSharedKeys(stateToAsk(flags, flags.policy), flags);
  const notes = leftOut([state]);
  const { callers: all, classes } = await whoCan(partsToSurvey(state, now), rows, collection);
  const callers = flags.allowed ? all.filter(({ verdict }) => verdict === 'allowed') : all;
  const json = {
    operation,
    ...(collection !== undefined && { collection }),
    callers,
    ...(notes.length > 0 && { notes }),
  };
  return { json, text: `${textOf(callers, classes)}${notesText(notes)}` };
}

function rowsOf(operation: string): readonly Row[] {
  const rows = rowsNamed(operation);
  if (rows.length > 0) return rows;
  const group = Object.hasOwn(OPERATION_GROUPS, operation) ? OPERATION_GROUPS[operation] : undefined;
  if (group) throw new UsageError(`\`${operation}\` is a group: ask for one of ${group.join(', ')}`);
  const names = ROWS.flatMap(({ operation: { name, audit } }) => (audit === null ? [name] : [audit, name]));
  const meant = nearest(operation, names);
  throw new UsageError(`unknown operation${meant === undefined ? '' : `, did you mean \`${meant}\`?`}`);
}

/** One line for callers that are alike; a protocol is named where the other one decides otherwise. */
function textOf(callers: readonly WhoCan[], classes: readonly PrincipalClass[]): string {
  const byCaller = Map.groupBy(callers, ({ caller }) => caller);
  const told = [...byCaller].flatMap(([caller, all]) => {
    const alike = Map.groupBy(all, (one) => JSON.stringify([one.verdict, one.code, one.decided_by, one.conditions]));
    return [...alike.values()].flatMap((same) => {
      const [one] = same;
      const rows = alike.size === 1 ? [] : [...new Set(same.map(({ operation }) => operation))];
      return one ? [{ caller, one, rows }] : [];
    });
  });
  const lines = [
    ...Map.groupBy(told, ({ one, rows }) =>
      JSON.stringify([one.verdict, one.code, one.decided_by, one.conditions, rows]),
    ).values(),
  ];
  const shown = lines.flatMap((same) => {
    const [first] = same;
    if (!first) return [];
    const { one, rows } = first;
    const names = new Set(same.map(({ caller }) => caller));
    const verdict = one.code === undefined ? one.verdict : `${one.verdict}: ${one.code}`;
    const where = rows.length === 0 ? '' : ` (${rows.join(', ')})`;
    const own = classes.filter(({ label }) => names.has(label));
    return mergedLabels(own, classes).map((label) => [
      `${label}${where}`,
      verdict,
      decidedText(one.decided_by),
      one.conditions.join('; '),
    ]);
  });
  return textTable(['caller', 'verdict', 'decided by', 'restrictions'], shown);
}

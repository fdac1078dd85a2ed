import { judgeArray, judgeRead } from '../../../policy/tenants/kept-fields.ts';
import { type PathStep, type PayloadField, parsePath } from '../../../policy/tenants/payload-path.ts';
import { decode } from '../messages/codec.ts';

/** The lists of a filter, whose conditions are encoded. */
interface Lists {
  readonly must: readonly Uint8Array[];
  readonly should?: readonly Uint8Array[];
  readonly mustNot?: readonly Uint8Array[];
  readonly minShould?: Uint8Array;
}

interface Condition {
  readonly conditionOneOf:
    | { readonly case: 'field' | 'isEmpty' | 'isNull'; readonly value: { readonly key: string } }
    | { readonly case: 'nested'; readonly value: { readonly key: string; readonly filter?: Lists } }
    | { readonly case: 'filter'; readonly value: Lists }
    | { readonly case: 'hasId' | 'hasVector' | 'slice' | undefined; readonly value?: unknown };
}

/** Throws a refusal if a filter sets a condition on one of these fields. */
export function judgeFilter(fields: readonly PayloadField[], filter: Lists | undefined): void {
  if (fields.length > 0 && filter) judgeLists(fields, filter, []);
}

/** The same of one encoded condition. */
export function judgeCondition(fields: readonly PayloadField[], condition: Uint8Array): void {
  if (fields.length > 0) judgeOne(fields, condition, []);
}

/** @param above the path of the arrays around a nested filter */
function judgeLists(fields: readonly PayloadField[], filter: Lists, above: readonly PathStep[]): void {
  const { must, should = [], mustNot = [], minShould } = filter;
  const some = minShould ? decode<{ conditions: readonly Uint8Array[] }>('MinShould', minShould).conditions : [];
  for (const condition of [...must, ...should, ...mustNot, ...some]) judgeOne(fields, condition, above);
}

function judgeOne(fields: readonly PayloadField[], bytes: Uint8Array, above: readonly PathStep[]): void {
  const { conditionOneOf: one } = decode<Condition>('Condition', bytes);
  switch (one.case) {
    case 'field':
    case 'isEmpty':
    case 'isNull':
      judgeKey(fields, one.value.key, above);
      break;
    case 'filter':
      judgeLists(fields, one.value, above);
      break;
    case 'nested': {
      const path = pathOf(one.value.key, above);
      if (path) judgeArray(fields, path);
      if (path && one.value.filter) judgeLists(fields, one.value.filter, path);
      break;
    }
    default:
  }
}

function judgeKey(fields: readonly PayloadField[], key: string, above: readonly PathStep[]): void {
  const path = pathOf(key, above);
  if (path) judgeRead(fields, path);
}

/** The whole path. `undefined` = upstream refuses it. */
function pathOf(key: string, above: readonly PathStep[]): readonly PathStep[] | undefined {
  const steps = parsePath(key);
  return steps && [...above, ...steps];
}

import type { Problem } from '../../config/problem.ts';
import { GRPC_OPERATIONS, UNLISTED_GRPC } from '../../operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../operations/rest.ts';
import { countsOn, type LimitSettings, limitsOf } from '../../policy/limits/limits.ts';
import type { Operation } from '../../policy/operation.ts';
import { fixedFacts, hasFacts } from '../../policy/search/operations.ts';

const ROWS: readonly Operation[] = [...REST_OPERATIONS, UNLISTED_REST, ...GRPC_OPERATIONS, UNLISTED_GRPC];

/**
 * Limits that no request can count on: their operations are about no collection, or cost nothing.
 *
 * @param place of the policy file
 */
export function idleLimits(limits: readonly LimitSettings[], place: string): readonly Problem[] {
  return limits.flatMap((limit) => {
    const reason = reasonOf(limit);
    return reason === undefined ? [] : [{ place, message: `limits: \`${limit.id}\` ${reason}` }];
  });
}

function reasonOf(settings: LimitSettings): string | undefined {
  const { operations, collections, each, cost, requests, bytes, concurrent } = settings;
  const [limit] = limitsOf([settings]);
  if (operations === undefined || limit === undefined) return undefined;
  const told = operations.map((name) => `\`${name}\``).join(', ');
  const [anyName] = collections ?? ['*'];
  const counted = ROWS.filter((row) => countsOn(limit, row, hasCollection(row) ? anyName : undefined));
  if (counted.length === 0) {
    const field = collections === undefined ? `each: ${each}` : 'collections';
    return `never applies: with \`${field}\` requests on one collection count, and none of its operations is one (${told})`;
  }
  if (cost === undefined || counted.some((row) => hasFacts(row) || fixedFacts(row) !== undefined)) return undefined;
  const alone = requests === undefined && bytes === undefined && concurrent === undefined;
  return `has a \`cost\`, and its operations cost nothing (${told})${alone ? ': it never applies' : ''}`;
}

function hasCollection(row: Operation): boolean {
  if (row.requires.scope === 'collection') return true;
  return 'path' in row && String(row.path).startsWith('/collections/{');
}

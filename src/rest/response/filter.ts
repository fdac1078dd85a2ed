import { lists, type ScopedAccess } from '../../policy/access.ts';
import type { ResponseFilterName } from '../../policy/operation.ts';
import { filterResult, keepItems, keepKeys, keepListed, keepMembers, type Rule } from './filter-source.ts';
import { filterTelemetry, type TelemetryView } from './filter-telemetry.ts';

/** Input of a filter beside the answer and the access. Used by telemetry only. */
export interface FilterContext {
  /** The requested view, from `planFilter`. Default: upstream's answer unchanged. */
  readonly view?: TelemetryView;
  /** All collections there are; needed only where the answer holds no names (`TelemetryView.anonymous`). */
  readonly existing?: readonly string[];
}

/**
 * Takes upstream's whole, decoded 200 answer and gives the one a list access may see. Throws an `AnswerFault` when the
 * answer is not the JSON expected.
 */
export type ResponseFilter = (body: Buffer, access: ScopedAccess, context?: FilterContext) => Buffer;

/** One filter per name; what an answer holds beyond the known members is left out. */
export const RESPONSE_FILTERS: Readonly<Record<ResponseFilterName, ResponseFilter>> = {
  'collections-list': (body, access) => filterList(body, 'collections', ['name'], access),
  'aliases-list': (body, access) => filterList(body, 'aliases', ['alias_name', 'collection_name'], access),
  telemetry: filterTelemetry,
  'cluster-telemetry': (body, access) => filterMember(body, 'collections', keepKeys(listedBy(access))),
  issues: (body, access) => filterList(body, 'issues', ['related_collection'], access),
};

/** `result[member][]`: the items whose `fields` are all listed. */
function filterList(body: Buffer, member: string, fields: readonly string[], access: ScopedAccess): Buffer {
  return filterMember(body, member, keepItems(keepListed(fields, listedBy(access))));
}

function filterMember(body: Buffer, member: string, rule: Rule): Buffer {
  return filterResult(body, keepMembers(new Map([[member, rule]])));
}

function listedBy(access: ScopedAccess): (name: string) => boolean {
  return (name) => lists(access, name);
}

import { arrayOf, type JsonMember, objectOf } from '../../json/assemble.ts';
import { lists, type ScopedAccess } from '../../policy/access.ts';
import { readAggregate, readNamed } from './filter-collection.ts';
import {
  copy,
  drop,
  filterResult,
  keepItems,
  keepKeys,
  keepListed,
  keepMembers,
  type Rule,
  type Rules,
  readKnown,
  type Source,
} from './filter-source.ts';

/** The telemetry a caller asked for, in Qdrant's levels. */
export interface TelemetryView {
  /** The `details_level` to rebuild to; 2 and above keep what upstream gave. */
  readonly level: number;
  /** Upstream's answer holds no real names: everything of single collections is left out. */
  readonly anonymous: boolean;
}

const WHOLE: TelemetryView = { level: 2, anonymous: false };

/**
 * Telemetry for a list access. `cluster`, `requests`, `memory`, `quota` and unknown members go; collections, snapshots
 * and hardware are filtered by name; `number_of_collections` counts what is listed and exists.
 *
 * Upstream: the shapes of Qdrant v1.18.3 at each level, apart from `collections.snapshots`, where it shows every name.
 */
export function filterTelemetry(
  body: Buffer,
  access: ScopedAccess,
  context: { readonly view?: TelemetryView; readonly existing?: readonly string[] } = {},
): Buffer {
  const view = context.view ?? WHOLE;
  const listed = (name: string) => lists(access, name);
  const existing = context.existing?.filter(listed).length;
  const rules = new Map<string, Rule>([
    ['id', copy],
    ['app', view.level === 0 ? keepMembers(SHORT_APP) : copy],
    ['collections', (source) => readCollections(source, view, listed, existing)],
  ]);
  if (view.level > 0) {
    rules.set('search_pool', copy);
    const visible = view.anonymous ? () => false : listed;
    rules.set('hardware', keepMembers(new Map([['collection_data', keepKeys(visible)]])));
  }
  return filterResult(body, keepMembers(rules));
}

/** Members of `app` at level 0. */
const SHORT_APP: Rules = new Map(
  ['name', 'version', 'startup', 'jwt_rbac', 'hide_jwt_dashboard'].map((key): [string, Rule] => [key, copy]),
);

/** `result.collections`, in Qdrant's order of members. */
function readCollections(
  source: Source,
  view: TelemetryView,
  listed: (name: string) => boolean,
  existing: number | undefined,
): Buffer {
  let count = existing;
  const single: Rule = (inner) => {
    const found = readEntries(inner, view, listed);
    count = found.length;
    return view.level === 0 ? undefined : arrayOf(found.filter((text) => text.length > 0));
  };
  const rules: Rules = new Map([
    ['max_collections', copy],
    ['collections', view.anonymous ? drop : single],
    ['snapshots', view.anonymous || view.level < 2 ? drop : keepItems(keepListed(['id'], listed))],
  ]);
  const known = new Map(readKnown(source, rules));
  const members: JsonMember[] = [];
  const add = (key: string, text: Buffer | undefined) => {
    if (text !== undefined) members.push([key, text]);
  };
  add('number_of_collections', count === undefined ? undefined : Buffer.from(String(count)));
  add('max_collections', known.get('max_collections'));
  if (view.level > 0) {
    add('collections', known.get('collections') ?? arrayOf([]));
    add('snapshots', known.get('snapshots') ?? arrayOf([]));
  }
  return objectOf(members);
}

/** One text per listed collection; empty where level 1 cannot be told from what upstream gave. */
function readEntries(source: Source, view: TelemetryView, listed: (name: string) => boolean): readonly Buffer[] {
  const entries: Buffer[] = [];
  if (source.reader.peek() === 'null') {
    source.reader.readNull();
    return entries;
  }
  source.reader.readArray(() => {
    const entry = view.level === 1 ? readAggregate(source, listed) : readNamed(source);
    if (entry !== undefined && listed(entry.id)) entries.push(entry.text);
  });
  return entries;
}

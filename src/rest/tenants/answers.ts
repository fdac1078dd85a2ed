import { arrayOf, type JsonMember, objectOf } from '../../json/assemble.ts';
import type { PayloadField } from '../../policy/tenants/payload-path.ts';
import type { AnswerChange } from '../../policy/tenants/rewriting.ts';
import {
  copy,
  drop,
  filterResult,
  keepMembers,
  type Rule,
  type Rules,
  type Source,
} from '../response/filter-source.ts';
import { idText } from './reading.ts';

/*
 * Changes of upstream's answers to requests made anew. Members that are not known are left out where they could tell about other
 * tenants.
 */

/** A change of an answer, with what had to be asked for it. Plain data. */
export type TenantAnswer =
  | Exclude<AnswerChange, { readonly kind: 'collection' }>
  /** @param points the tenant's own number of points */
  | { readonly kind: 'collection'; readonly points: number };

/** The changed answer; empty = the one point does not exist. Throws an `AnswerFault`. */
export function changeForTenant(change: TenantAnswer, body: Buffer): Buffer {
  switch (change.kind) {
    case 'hide':
      return filterResult(body, hideIn(change.fields));
    case 'retrieved':
      return change.one ? retrievedOne(body, change) : filterResult(body, (source) => retrievedMany(source, change));
    default:
      return filterResult(body, collectionOf(change.points));
  }
}

/** Members in which points stand, at any depth of the answers of queries. */
const HOLDING: ReadonlySet<string> = new Set(['points', 'groups', 'hits']);

/** Without `fields` in the payloads of all points. */
function hideIn(fields: readonly PayloadField[]): Rule {
  const without = withoutFields(fields, 0);
  const each: Rule = (source) => {
    switch (source.reader.peek()) {
      case 'array':
        return arrayOf(itemsOf(source, each));
      case 'object':
        return objectOf(membersOf(source, (key) => (key === 'payload' ? without : HOLDING.has(key) ? each : copy)));
      default:
        return copy(source);
    }
  };
  return each;
}

/** Objects in arrays are objects like others. */
function withoutFields(fields: readonly PayloadField[], depth: number): Rule {
  const rules = new Map<string, Rule>();
  for (const key of new Set(fields.map((field) => field[depth] ?? ''))) {
    const inside = fields.filter((field) => field[depth] === key);
    const ends = inside.some((field) => field.length === depth + 1);
    rules.set(key, ends ? drop : withoutFields(inside, depth + 1));
  }
  const rule: Rule = (source) => {
    switch (source.reader.peek()) {
      case 'object':
        return objectOf(membersOf(source, (key) => rules.get(key) ?? copy));
      case 'array':
        return arrayOf(itemsOf(source, rule));
      default:
        return copy(source);
    }
  };
  return rule;
}

function itemsOf(source: Source, rule: Rule): Buffer[] {
  const items: Buffer[] = [];
  source.reader.readArray(() => {
    const item = rule(source);
    if (item !== undefined) items.push(item);
  });
  return items;
}

function membersOf(source: Source, ruleOf: (key: string) => Rule): JsonMember[] {
  const members: JsonMember[] = [];
  source.reader.readObject((key) => {
    const text = ruleOf(key)(source);
    if (text !== undefined) members.push([key, text]);
  });
  return members;
}

type Retrieved = Extract<AnswerChange, { readonly kind: 'retrieved' }>;

/** The records of a scroll in the order of the ids. */
function retrievedMany(source: Source, { ids, fields }: Retrieved): Buffer {
  const records = recordsOf(source, fields);
  return arrayOf(ids.flatMap((id) => records.get(idText(id)) ?? []));
}

function retrievedOne(body: Buffer, { ids, fields }: Retrieved): Buffer {
  let found: Buffer | undefined;
  const changed = filterResult(body, (source) => {
    found = recordsOf(source, fields).get(idText(ids[0] ?? ''));
    return found ?? NULL;
  });
  return found ? changed : Buffer.alloc(0);
}

const NULL = Buffer.from('null');

/** The records of a scroll by the text of their ids. */
function recordsOf(source: Source, fields: readonly PayloadField[]): ReadonlyMap<string, Buffer> {
  const records = new Map<string, Buffer>();
  const payload = fields.length > 0 ? withoutFields(fields, 0) : copy;
  const record: Rule = (each) => {
    let id = '';
    const idRule: Rule = (at) => {
      const text = copy(at);
      id = text.toString('latin1');
      return text;
    };
    const rules: Rules = new Map([
      ['id', idRule],
      ['payload', payload],
    ]);
    const members = membersOf(each, (key) => rules.get(key) ?? copy);
    records.set(id, objectOf(members));
    return undefined;
  };
  keepMembers(new Map([['points', (each) => arrayOf(itemsOf(each, record))]]))(source);
  return records;
}

/**
 * The information on a collection with the tenant's own number of points: its settings, and no number that counts points of
 * others. Upstream: `CollectionInfo` (Qdrant v1.19.0; `created_at` v1.20.0).
 */
function collectionOf(points: number): Rule {
  const said =
    (text: string): Rule =>
    (source) => {
      drop(source);
      return Buffer.from(text);
    };
  const index = keepMembers(
    new Map([
      ['data_type', copy],
      ['params', copy],
      ['points', said('0')],
    ]),
  );
  return keepMembers(
    new Map<string, Rule>([
      ['status', copy],
      ['optimizer_status', said('"ok"')],
      ['indexed_vectors_count', said('null')],
      ['points_count', said(String(points))],
      ['segments_count', said('1')],
      ['config', copy],
      ['payload_schema', (source) => objectOf(membersOf(source, () => index))],
      ['created_at', copy],
    ]),
  );
}

import { tenantField } from '../../policy/denial.ts';
import { writesField } from '../../policy/tenants/kept-fields.ts';
import { type PathStep, type PayloadField, pathText } from '../../policy/tenants/payload-path.ts';
import {
  hasField,
  onlyValue,
  type PayloadReader,
  type Standing,
  setsField,
  settingStanding,
  standing,
} from '../../policy/tenants/payload-rules.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import type { TenantCondition, TenantValue } from '../../policy/tenants/tenancy.ts';
import { badForm } from './ids.ts';
import { decode, encode, make } from './messages/codec.ts';

/** A member of a payload; its value is an encoded `Value`. */
export interface Entry {
  key: string;
  value?: Uint8Array;
}

interface ValueMessage {
  readonly kind: { readonly case: string | undefined; readonly value?: unknown };
}

/** A payload, or a value in it. */
type Node = readonly Entry[] | ValueMessage;

const reader: PayloadReader<Node> = {
  member(node, key) {
    const entries = entriesOf(node);
    if (!entries) return 'no-object';
    const entry = entries.find((each) => each.key === key);
    return entry && decoded(entry);
  },
  isNull,
  scalar(node) {
    const kind = 'kind' in node ? node.kind : undefined;
    const known = kind?.case === 'stringValue' || kind?.case === 'integerValue' || kind?.case === 'boolValue';
    return known ? (kind.value as TenantValue) : undefined;
  },
};

/** Upstream: a value without a kind is null, too (Qdrant v1.19.0, `proto_to_json`). */
function isNull(node: Node): boolean {
  return 'kind' in node && (node.kind.case === undefined || node.kind.case === 'nullValue');
}

function decoded({ value }: Entry): ValueMessage {
  return decode<ValueMessage>('Value', value ?? EMPTY);
}

const EMPTY = Buffer.alloc(0);

function entriesOf(node: Node): readonly Entry[] | undefined {
  if (!('kind' in node)) return node;
  if (node.kind.case !== 'structValue') return undefined;
  const { fields } = node.kind.value as { fields: readonly Entry[] };
  refuseDoubles(fields);
  return fields;
}

/** Of two members with one key the last counts; which one is looked at must not matter. */
function refuseDoubles(entries: readonly Entry[]): void {
  const keys = new Set(entries.map(({ key }) => key));
  if (keys.size !== entries.length) throw badForm('payload', 'has a key twice');
}

/** Makes a whole payload the tenant's: sets the field where it is absent, refuses another value. Returns the payload. */
export function ownPayload(entries: Entry[], conditions: readonly TenantCondition[], place: string): Entry[] {
  refuseDoubles(entries);
  let owned = entries;
  for (const condition of conditions) {
    const stands = standing(reader, owned, condition);
    if (stands !== 'holds') owned = added(owned, condition, stands, place);
  }
  return owned;
}

function added(entries: Entry[], condition: TenantCondition, stands: Standing, place: string): Entry[] {
  const value = onlyValue(condition);
  if (stands === 'other' || value === undefined) throw otherField(condition, place);
  return withField(entries, condition.field, value);
}

function otherField({ field }: TenantCondition, place: string): TenantRefusal {
  return new TenantRefusal(
    tenantField(`has another value, or none, for the field \`${pathText(field)}\` of the tenant in \`${place}\``),
  );
}

/** The members with the field added, the objects above it included. */
function withField(entries: Entry[], field: PayloadField, value: TenantValue): Entry[] {
  const [first = '', ...more] = field;
  if (more.length === 0) return [...entries, { key: first, value: encodeScalar(value) }];
  const entry = entries.find(({ key }) => key === first);
  const above = entry && decoded(entry);
  const inner = above && !isNull(above) ? entriesOf(above) : [];
  if (!inner) throw badForm('payload', 'has no object above the field');
  const fields = withField([...inner], more, value).map((each) => make('ValueEntry', each));
  const struct = encode('Value', make('Value', { kind: { case: 'structValue', value: { fields } } }));
  return [...entries.filter(({ key }) => key !== first), { key: first, value: struct }];
}

/** A value as an encoded `Value`. */
export function encodeScalar(value: TenantValue): Buffer {
  const form = typeof value === 'string' ? 'stringValue' : typeof value === 'bigint' ? 'integerValue' : 'boolValue';
  return encode('Value', make('Value', { kind: { case: form, value } }));
}

/** Makes a payload that is set at `at` leave the field as it is. Returns the payload. */
export function ownSetting(
  entries: Entry[],
  at: readonly PathStep[],
  conditions: readonly TenantCondition[],
  place: string,
): Entry[] {
  refuseDoubles(entries);
  let owned = entries;
  for (const condition of conditions) {
    const stands = settingStanding(reader, owned, at, condition);
    if (stands === 'untouched' || stands === 'holds') continue;
    const value = onlyValue(condition);
    if (stands === 'other' || value === undefined) throw otherField(condition, place);
    owned = withField(owned, condition.field.slice(at.length), value);
  }
  return owned;
}

/** Throws a refusal if a whole payload has one of these fields. */
export function judgeWhole(entries: readonly Entry[], fields: readonly PayloadField[]): void {
  const written = fields.find((field) => hasField(reader, entries, field));
  if (written) throw writesField(written);
}

/** Throws a refusal if setting a payload at `at` changes one of these fields. */
export function judgeSetting(
  entries: readonly Entry[],
  at: readonly PathStep[],
  fields: readonly PayloadField[],
): void {
  const changed = fields.find((field) => setsField(reader, entries, at, field));
  if (changed) throw writesField(changed);
}

import { integerOf, MOST_INTEGER_LENGTH } from '../../json/integer.ts';
import { type JsonNode, JsonObject, objectNode, textNode } from '../../json/tree.ts';
import { tenantField } from '../../policy/denial.ts';
import { judgeChanged, writesField } from '../../policy/tenants/kept-fields.ts';
import { type PathStep, type PayloadField, reaches } from '../../policy/tenants/payload-path.ts';
import {
  hasField,
  type PayloadReader,
  setsField,
  settingStanding,
  standing,
} from '../../policy/tenants/payload-rules.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { requestPath } from '../../policy/tenants/request-path.ts';
import type { TenantCondition, TenantValue } from '../../policy/tenants/tenancy.ts';
import type { TenantReading } from './reading.ts';
import { type Action, keep, text } from './shapes.ts';

/* Payloads that are written. Only the way to the fields of the tenant is looked at; the rest stays as it came. */

/** Each key takes memory beside its bytes. */
const MAX_KEYS = 10_000;

/** A payload, read as far as the fields of the tenant lead into it. Each key once. */
export const payloadAt: Action = (reading) => readPayload(reading, looked(reading), 0);

/** The fields that are looked at. */
function looked({ fields, readOnly }: TenantReading): readonly PayloadField[] {
  return readOnly.length === 0 ? fields : [...fields, ...readOnly];
}

function readPayload(reading: TenantReading, fields: readonly PayloadField[], depth: number): JsonNode {
  const { reader } = reading;
  const node = new JsonObject();
  reader.readObject((key) => {
    if (node.has(key)) throw reading.fault(`duplicate key ${JSON.stringify(key)} in a payload`);
    if (node.keys.length === MAX_KEYS) throw reading.fault(`more than ${MAX_KEYS} keys in a payload`);
    reading.spend(1);
    const leads = fields.some((field) => field[depth] === key && field.length > depth + 1);
    if (!leads || reader.peek() !== 'object') node.set(key, keep(reading));
    else {
      const inside = fields.filter((field) => field[depth] === key);
      node.set(key, readPayload(reading, inside, depth + 1));
    }
  });
  return node;
}

/** Reads payloads of `payloadAt` for the rules of payloads. */
function readerOf(reading: TenantReading): PayloadReader<JsonNode> {
  return {
    member: (value, key) => (value.kind === 'object' ? value.get(key) : 'no-object'),
    isNull: (value) => reading.isNull(value),
    scalar: (value) => scalarOf(reading, value),
  };
}

/** The value of a member; `undefined` = no text, integer or boolean. */
export function scalarOf(reading: TenantReading, value: JsonNode): TenantValue | undefined {
  if (value.kind !== 'source') return undefined;
  const string = reading.stringOf(value);
  if (string !== undefined) return string;
  if (value.end - value.start > MOST_INTEGER_LENGTH) return undefined;
  const written = reading.source.toString('latin1', value.start, value.end);
  if (written === 'true' || written === 'false') return written === 'true';
  return integerOf(written);
}

const OTHER_VALUE = tenantField('would give the field of the tenant another value');
const NO_VALUE = tenantField('must give the field of the tenant one of its values');

/** A whole payload, or null: that of an upsert, or one that overwrites. Null and a missing field get the value of the tenant. */
export function ownPayload(reading: TenantReading): JsonNode {
  if (reading.reader.peek() === 'null') {
    if (reading.isFree) return keep(reading);
    reading.reader.readNull();
    return newPayload(reading);
  }
  const node = readPayload(reading, looked(reading), 0);
  const written = reading.readOnly.find((field) => hasField(readerOf(reading), node, field));
  if (written) throw writesField(written);
  return own(reading, node);
}

/** The payload of a point that has none: the fields of the tenant. */
export function newPayload(reading: TenantReading): JsonNode {
  return own(reading, new JsonObject());
}

function own(reading: TenantReading, node: JsonNode): JsonNode {
  for (const condition of reading.context.conditions) {
    const stands = standing(readerOf(reading), node, condition);
    if (stands === 'other') throw new TenantRefusal(OTHER_VALUE);
    if (stands === 'absent') add(reading, node, condition, 0);
  }
  return node;
}

/** Adds the field from `depth` of its path on. */
function add(reading: TenantReading, node: JsonNode, condition: TenantCondition, depth: number): void {
  const value = reading.onlyText(condition);
  if (value === undefined) throw new TenantRefusal(NO_VALUE);
  let at = node;
  for (const [index, key] of condition.field.entries()) {
    if (index < depth) continue;
    // INVARIANT: `absent` means that everything on the way is an object or null, or is not there.
    if (at.kind !== 'object') throw new TypeError('a payload is no object');
    const last = index === condition.field.length - 1;
    const there = at.get(key);
    const next = there && !reading.isNull(there) ? there : last ? textNode(value) : objectNode({});
    at.set(key, next);
    at = next;
  }
}

/** Judges a payload that is set at `key`; a payload that replaces what is above a field gets the field. */
export function judgeSetting(reading: TenantReading, payload: JsonNode, key: JsonNode | undefined): void {
  const at = reading.isNull(key) ? [] : pathOf(reading, reading.stringOf(key));
  for (const condition of reading.context.conditions) {
    const stands = settingStanding(readerOf(reading), payload, at, condition);
    if (stands === 'other') throw new TenantRefusal(OTHER_VALUE);
    if (stands === 'absent') add(reading, payload, condition, at.length);
  }
  const changed = reading.readOnly.find((field) => setsField(readerOf(reading), payload, at, field));
  if (changed) throw writesField(changed);
}

function pathOf(reading: TenantReading, path: string | undefined): readonly PathStep[] {
  const steps = path === undefined ? undefined : requestPath(path);
  if (!steps) throw reading.fault('expected a path into the payload');
  return steps;
}

/** A key that is deleted. */
export const deletedKey: Action = (reading) => {
  const node = text(reading);
  const path = pathOf(reading, reading.stringOf(node));
  if (reading.context.conditions.some(({ field }) => reaches(path, field))) throw new TenantRefusal(REMOVES);
  judgeChanged(reading.readOnly, path);
  return node;
};
const REMOVES = tenantField('would remove the field of the tenant');

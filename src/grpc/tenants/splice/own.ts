import { onlyValue } from '../../../policy/tenants/payload-rules.ts';
import type { TenantCondition } from '../../../policy/tenants/tenancy.ts';
import { conditionsOf } from '../filters.ts';
import { encodeScalar } from '../values.ts';
import { bytesField } from './edits.ts';
import { numberOf } from './shapes.ts';

const MUST = numberOf('Filter', 'must');
const PAYLOAD = numberOf('PointStruct', 'payload');
const KEY = numberOf('ValueEntry', 'key');
const VALUE = numberOf('ValueEntry', 'value');

/** A condition in bytes. The conditions of a tenant stay the same objects from call to call. */
export interface OwnBytes {
  /** It in the field `must` of a filter. */
  readonly must: Buffer;
  /** The key of its field in a payload; `undefined` = the field lies within others. */
  readonly key: Buffer | undefined;
  /** Its values as they are encoded. */
  readonly values: readonly Buffer[];
  /** The member to add to a payload; `undefined` = the payload must have it. */
  readonly entry: Buffer | undefined;
}

const known = new WeakMap<TenantCondition, OwnBytes>();

function ownOf(condition: TenantCondition): OwnBytes {
  const made = known.get(condition) ?? ownBytes(condition);
  known.set(condition, made);
  return made;
}

function ownBytes(condition: TenantCondition): OwnBytes {
  const [first = '', ...more] = condition.field;
  const key = more.length === 0 ? Buffer.from(first, 'utf8') : undefined;
  const only = onlyValue(condition);
  const value = only === undefined ? undefined : encodeScalar(only);
  return {
    must: Buffer.concat(conditionsOf([condition]).map((each) => bytesField(MUST, each))),
    key,
    values: condition.values.map(encodeScalar),
    entry: key && value && bytesField(PAYLOAD, bytesField(KEY, key), bytesField(VALUE, value)),
  };
}

/** The conditions in the field `must` of a filter, as bytes to be put before what is there. */
export function mustOf(conditions: readonly TenantCondition[]): Buffer {
  const first = conditions[0];
  if (first && conditions.length === 1) return ownOf(first).must;
  return Buffer.concat(conditions.map((condition) => ownOf(condition).must));
}

/**
 * The conditions as members of a payload that is written; `undefined` = a field lies within others, two conditions are on one field,
 * or there are too many.
 */
export function pointFields(conditions: readonly TenantCondition[]): readonly OwnBytes[] | undefined {
  const own = conditions.map(ownOf);
  const keys = new Set(own.map(({ key }) => key?.toString('latin1')));
  return keys.has(undefined) || keys.size < own.length || own.length > MOST_BITS ? undefined : own;
}

/** Conditions that fit into the bits of a number. */
const MOST_BITS = 30;

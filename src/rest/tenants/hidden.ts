import { JsonObject } from '../../json/tree.ts';
import { tenantField } from '../../policy/denial.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { showsHidden } from '../../policy/tenants/rewriting.ts';
import type { TenantReading } from './reading.ts';
import { type Action, keep, object, text } from './shapes.ts';

/** The path of a field whose values stand in the answer: not a hidden one. */
export const shownKey: Action = (reading) => {
  const node = text(reading);
  judgeShown(reading, reading.stringOf(node));
  return node;
};

function judgeShown({ context }: TenantReading, key: string | undefined): void {
  if (key !== undefined && showsHidden(context.conditions, key))
    throw new TenantRefusal(tenantField('would read the field of the tenant'));
}

/** The values of variables that points do not have, by the paths of the variables. Upstream: `defaults` of a formula. */
export const shownKeys: Action = (reading) => {
  if (reading.reader.peek() !== 'object') return keep(reading);
  const node = new JsonObject();
  reading.reader.readObject((key) => {
    if (node.has(key)) throw reading.fault(`duplicate field \`${key}\``);
    judgeShown(reading, key);
    node.set(key, keep(reading));
  });
  return node;
};

const ORDER = object({ key: shownKey, direction: text, start_from: keep });

/** A path, or an object with one. Upstream: `OrderByInterface` (Qdrant v1.19.0). */
export const orderBy: Action = (reading) => {
  const kind = reading.reader.peek();
  if (kind === 'null') return keep(reading);
  return kind === 'string' ? shownKey(reading) : ORDER(reading);
};

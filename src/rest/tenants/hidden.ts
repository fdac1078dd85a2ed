import { tenantField } from '../../policy/denial.ts';
import { parsePath, reaches } from '../../policy/tenants/payload-path.ts';
import { TenantRefusal } from './reading.ts';
import { type Action, keep, object, text } from './shapes.ts';

/** The path of a field whose values stand in the answer: not a hidden one. */
export const shownKey: Action = (reading) => {
  const node = text(reading);
  const key = reading.stringOf(node);
  const path = key === undefined ? undefined : parsePath(key);
  const hidden = path && reading.context.conditions.some(({ hides, field }) => hides && reaches(path, field));
  if (hidden) throw new TenantRefusal(tenantField('would read the field of the tenant'));
  return node;
};

const ORDER = object({ key: shownKey, direction: text, start_from: keep });

/** A path, or an object with one. Upstream: `OrderByInterface` (Qdrant v1.19.0). */
export const orderBy: Action = (reading) => {
  const kind = reading.reader.peek();
  if (kind === 'null') return keep(reading);
  return kind === 'string' ? shownKey(reading) : ORDER(reading);
};

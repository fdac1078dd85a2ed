import { JsonObject } from '../../json/tree.ts';
import { judgeArray, judgeRead, judgeShown } from '../../policy/tenants/kept-fields.ts';
import { parsePath } from '../../policy/tenants/payload-path.ts';
import type { NestedPaths, TenantReading } from './reading.ts';
import { type Action, keep, object, text } from './shapes.ts';

/** The path of a field whose values stand in the answer: not a hidden one. */
export const shownKey: Action = (reading) => {
  const node = text(reading);
  judgeShown(reading.hidden, reading.stringOf(node));
  return node;
};

/** The path of a field on which a condition is set. */
export const filteredKey: Action = (reading) => {
  const node = text(reading);
  if (reading.unfiltered.length === 0) return node;
  judgeFiltered(reading, reading.stringOf(node), false);
  return node;
};

/** Within a nested filter a path is judged when that of its array is known. A path that upstream refuses passes. */
function judgeFiltered(
  reading: TenantReading,
  key: string | undefined,
  isArray: boolean,
  inside: NestedPaths = [],
): void {
  const path = key === undefined ? undefined : parsePath(key);
  if (!path) return;
  const { nested, unfiltered } = reading;
  const found = [{ path, isArray }, ...inside.map((one) => ({ ...one, path: [...path, ...one.path] }))];
  const open = nested.at(-1);
  if (open) open.push(...found);
  else for (const one of found) (one.isArray ? judgeArray : judgeRead)(unfiltered, one.path);
}

/** A nested filter, whose paths begin at the objects of an array. @param shape with `key` and `filter` */
export function withinArray(shape: Action): Action {
  return (reading) => {
    if (reading.unfiltered.length === 0) return shape(reading);
    reading.nested.push([]);
    const node = shape(reading);
    const inside = reading.nested.pop();
    if (node.kind === 'object') judgeFiltered(reading, reading.stringOf(node.get('key')), true, inside);
    return node;
  };
}

/** The values of variables that points do not have, by the paths of the variables. Upstream: `defaults` of a formula. */
export const shownKeys: Action = (reading) => {
  if (reading.reader.peek() !== 'object') return keep(reading);
  const node = new JsonObject();
  reading.reader.readObject((key) => {
    if (node.has(key)) throw reading.fault(`duplicate field \`${key}\``);
    judgeShown(reading.hidden, key);
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

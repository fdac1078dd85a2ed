import { JsonObject } from '../../json/tree.ts';
import { judgeShown } from '../../policy/tenants/kept-fields.ts';
import { type Action, keep, OBJECT_WORK, object, text } from './shapes.ts';

/** The path of a field whose values stand in the answer: not a hidden one. */
export const shownKey: Action = (reading) => {
  const node = text(reading);
  judgeShown(reading.hidden, reading.stringOf(node));
  return node;
};

/** The path of a field on which a condition is set. */
export const filteredKey: Action = (reading) => {
  const node = text(reading);
  reading.filterKeys?.condition(reading.stringOf(node));
  return node;
};

/** A nested filter, whose paths begin at the objects of an array. @param shape with `key` and `filter` */
export function withinArray(shape: Action): Action {
  return (reading) => {
    const { filterKeys } = reading;
    filterKeys?.open();
    const node = shape(reading);
    filterKeys?.close(node.kind === 'object' ? reading.stringOf(node.get('key')) : undefined);
    return node;
  };
}

/** The values of variables that points do not have, by the paths of the variables. Upstream: `defaults` of a formula. */
export const shownKeys: Action = (reading) => {
  if (reading.reader.peek() !== 'object') return keep(reading);
  const node = new JsonObject();
  reading.reader.readObject((key) => {
    if (node.has(key)) throw reading.fault(`duplicate field \`${key}\``);
    reading.spend(OBJECT_WORK);
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

import type { PayloadField } from '../../../policy/tenants/payload-path.ts';

/** The changes of a message within an answer. */
export interface Shape {
  /** The fields that are messages and are changed, by their numbers. */
  readonly inner: ReadonlyMap<number, Shape>;
  /** True = the message is an entry of a map of payload fields. Then only its field 1, the key, is looked at first. */
  readonly keys?: readonly HiddenKey[];
  /** Highest number of a field that is copied; those above it are left out. Default: all are copied. */
  readonly copiedTo?: number;
}

/** A key of a payload, or of an object in it, that is a hidden field or leads to one. */
interface HiddenKey {
  readonly bytes: Buffer;
  /** Of the entry; `undefined` = the entry is left out. */
  readonly entry: Shape | undefined;
}

/** Numbers of the fields of `Value`, as in Qdrant's `json_with_int.proto`: scalars up to 5, `struct_value`, `list_value`. */
const LAST_SCALAR = 5;
const STRUCT = 6;
const LIST = 7;

/** An entry of a map that loses `fields`. Objects in arrays are objects like others. */
function entryWithout(fields: readonly PayloadField[], depth = 0): Shape {
  const keys = [...new Set(fields.map((field) => field[depth] ?? ''))].map((key) => {
    const inside = fields.filter((field) => field[depth] === key);
    const ends = inside.some((field) => field.length === depth + 1);
    const entry = ends ? undefined : message([2, valueWithout(inside, depth + 1)]);
    return { bytes: Buffer.from(key, 'utf8'), entry };
  });
  return { inner: new Map(), keys };
}

/** A value on the way to a hidden field: a form of value that is not known is left out. */
function valueWithout(fields: readonly PayloadField[], depth: number): Shape {
  const inner = new Map<number, Shape>();
  const value: Shape = { inner, copiedTo: LAST_SCALAR };
  inner.set(STRUCT, { inner: new Map([[1, entryWithout(fields, depth)]]), copiedTo: 0 });
  inner.set(LIST, { inner: new Map([[1, value]]), copiedTo: 0 });
  return value;
}

function message(...inner: (readonly [number, Shape])[]): Shape {
  return { inner: new Map(inner) };
}

/** `ScoredPoint` and `RetrievedPoint`: field 2 is the payload. */
export function pointWithout(fields: readonly PayloadField[]): Shape {
  return fields.length === 0 ? message() : message([2, entryWithout(fields)]);
}

/** The answer, around its points. Numbers as in Qdrant's `points.proto`. */
const single = (point: Shape): Shape => message([1, point]);
const scroll = (point: Shape): Shape => message([2, point]);
const batch = (point: Shape): Shape => message([1, message([1, point])]);
const groups = (point: Shape): Shape => message([1, message([1, message([2, point])])]);

/** The answers whose points have payloads, by the path of the request. */
const ANSWERS: Readonly<Record<string, (point: Shape) => Shape>> = {
  '/qdrant.Points/Search': single,
  '/qdrant.Points/Recommend': single,
  '/qdrant.Points/Discover': single,
  '/qdrant.Points/Query': single,
  '/qdrant.Points/Scroll': scroll,
  '/qdrant.Points/SearchBatch': batch,
  '/qdrant.Points/RecommendBatch': batch,
  '/qdrant.Points/DiscoverBatch': batch,
  '/qdrant.Points/QueryBatch': batch,
  '/qdrant.Points/SearchGroups': groups,
  '/qdrant.Points/RecommendGroups': groups,
  '/qdrant.Points/QueryGroups': groups,
};

/** The answer to a request without `fields` in its payloads; `undefined` = it has none. */
export function answerWithout(path: string, fields: readonly PayloadField[]): Shape | undefined {
  return ANSWERS[path]?.(pointWithout(fields));
}

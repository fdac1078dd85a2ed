/*
 * How upstream reads a JSON value into its types, as serde does it: a struct passes over members that it does not know, takes an
 * array in the place of an object, and an untagged enum takes the first form that can be read. Shares nothing with the code of the gateway.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What is told of a value that has been read. */
export type Fact =
  /** A form of an untagged enum that was taken. */
  | { readonly kind: 'form'; readonly name: string }
  /** A member that was passed over. */
  | { readonly kind: 'over'; readonly name: string }
  /** A struct was read from an array. */
  | { readonly kind: 'array'; readonly name: string }
  /** A payload field that is read, a point that is named. */
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'id'; readonly name: string };

/** The facts of a value; `undefined` = it cannot be read. */
export type Type = (value: Json) => readonly Fact[] | undefined;

export function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

const when =
  (holds: (value: Json) => boolean): Type =>
  (value) =>
    holds(value) ? [] : undefined;

export const any: Type = () => [];
export const bool = when((value) => typeof value === 'boolean');
export const number = when((value) => typeof value === 'number');
export const string = when((value) => typeof value === 'string');
export const word = (...words: readonly string[]): Type =>
  when((value) => typeof value === 'string' && words.includes(value));

/** A whole number. */
export const integer = (least: number, most: number): Type =>
  when((value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most);
export const count = integer(0, Number.MAX_SAFE_INTEGER);

const PATH = /^[\w-]+(?:\[\d*\])*(?:\.[\w-]+(?:\[\d*\])*)*$/;
/** A path into the payload. */
export const path: Type = (value) =>
  typeof value === 'string' && PATH.test(value) ? [{ kind: 'field', name: value }] : undefined;

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;
export const pointId: Type = (value) => {
  const isNumber = Number.isInteger(value) && Number(value) >= 0;
  return isNumber || (typeof value === 'string' && UUID.test(value))
    ? [{ kind: 'id', name: String(value) }]
    : undefined;
};

export const list =
  (item: Type): Type =>
  (value) =>
    isArray(value) ? all(value.map(item)) : undefined;

/** A `HashMap`. */
export const map =
  (item: Type): Type =>
  (value) =>
    isObject(value) ? all(Object.values(value).map(item)) : undefined;

/** An `Option`. */
export const option =
  (type: Type): Type =>
  (value) =>
    value === null ? [] : type(value);

/** `MaybeOneOrMany`: null, a list, or one object. */
export const oneOrMany =
  (item: Type): Type =>
  (value) => {
    if (value === null) return [];
    return isArray(value) ? list(item)(value) : isObject(value) ? item(value) : undefined;
  };

/** One member: its type, and whether there need be one. */
export type Member = readonly [type: Type, presence?: 'optional'];

export interface StructOptions {
  /** `deny_unknown_fields`. */
  readonly isExact?: boolean;
  /** Has flattened members, so no array stands for it. */
  readonly isFlat?: boolean;
  /** Other names of members. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** A struct with these members, in upstream's order. */
export function struct(members: Readonly<Record<string, Member>>, options: StructOptions = {}): Type {
  const { isExact = false, isFlat = false, aliases = {} } = options;
  return (value) => {
    if (isArray(value)) return isFlat ? undefined : fromArray(Object.entries(members), value);
    if (!isObject(value)) return undefined;
    const given = new Map<string, Json>();
    const over: Fact[] = [];
    for (const [key, one] of Object.entries(value)) {
      const name = aliases[key] ?? key;
      if (given.has(name)) return undefined;
      if (members[name]) given.set(name, one);
      else if (isExact) return undefined;
      else over.push({ kind: 'over', name: key });
    }
    return all([over, ...Object.entries(members).map(([name, member]) => readMember(member, given.get(name)))]);
  };
}

function readMember([type, presence]: Member, value: Json | undefined): readonly Fact[] | undefined {
  if (value === undefined) return presence ? [] : undefined;
  return type(value);
}

/** Every member in its place. Members at the end that are not there count as defaults, also where upstream has none. */
function fromArray(
  members: readonly (readonly [string, Member])[],
  value: readonly Json[],
): readonly Fact[] | undefined {
  if (value.length > members.length) return undefined;
  const read = members.map(([, member], at) => readMember(member, value[at]));
  return all([[{ kind: 'array', name: members[0]?.[0] ?? '' }], ...read]);
}

/** An untagged enum: the first form that can be read. */
export function untagged(name: string, forms: Readonly<Record<string, Type>>): Type {
  return (value) => {
    for (const [form, type] of Object.entries(forms)) {
      const facts = type(value);
      if (facts) return [{ kind: 'form', name: `${name}.${form}` }, ...facts];
    }
    return undefined;
  };
}

/** All facts, if all parts have been read. */
export function all(parts: readonly (readonly Fact[] | undefined)[]): readonly Fact[] | undefined {
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

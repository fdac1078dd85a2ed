import { z } from 'zod';
import { settingsSchema } from './schema.ts';

/** The type of an option's value. */
export type OptionKind =
  | { readonly type: 'boolean' }
  | { readonly type: 'integer'; readonly min: number; readonly max: number; readonly word: string | undefined }
  | { readonly type: 'text'; readonly allowed: string };

/** One option for flags, environment, files and documents. `path` is dotted, `env` upper case. */
export type Option = {
  readonly path: string;
  readonly env: string;
  readonly kind: OptionKind;
  readonly nullable: boolean;
  readonly fallback: string | number | boolean | null;
  readonly doc: string;
  readonly secret: boolean;
  /** True = applied by a reload; false = needs a restart. */
  readonly live: boolean;
  /** A file may give a list of texts; elsewhere commas separate them. */
  readonly list: boolean;
  /** A file may give a list of entries with these fields; `undefined` = a single value. */
  readonly fields: readonly string[] | undefined;
};

/** Environment name of an option path: `service.api_key` is `QDRANT__SERVICE__API_KEY`. */
export function envName(path: string): string {
  const [first = '', ...rest] = path.toUpperCase().split('.');
  return first === 'GATEWAY' ? ['QDRANT_GATEWAY', ...rest].join('__') : ['QDRANT', first, ...rest].join('__');
}

/** An option without its default and null, and what the layers around it say. */
interface Unwrapped {
  readonly inner: unknown;
  readonly nullable: boolean;
  readonly fallback: unknown;
  readonly meta: Readonly<Record<string, unknown>>;
}

// The schema is walked and not turned into a JSON schema first: that would take a tenth of the time of each start.
function unwrapped(schema: unknown): Unwrapped {
  const own = schema instanceof z.ZodType ? schema.meta() : undefined;
  if (schema instanceof z.ZodDefault) {
    const below = unwrapped(schema.unwrap());
    return { ...below, fallback: schema.def.defaultValue, meta: { ...below.meta, ...own } };
  }
  if (schema instanceof z.ZodNullable) {
    const below = unwrapped(schema.unwrap());
    return { ...below, nullable: true, meta: { ...below.meta, ...own } };
  }
  return { inner: schema, nullable: false, fallback: undefined, meta: own ?? {} };
}

function integer({ minValue, maxValue }: z.ZodNumber, word: string | undefined): OptionKind {
  return { type: 'integer', min: Number(minValue), max: Number(maxValue), word };
}

function kindOf({ inner, meta }: Unwrapped): OptionKind {
  if (inner instanceof z.ZodBoolean) return { type: 'boolean' };
  if (inner instanceof z.ZodNumber) return integer(inner, undefined);
  if (inner instanceof z.ZodUnion) {
    const number = inner.options.find((one) => one instanceof z.ZodNumber);
    const word = inner.options.find((one) => one instanceof z.ZodLiteral);
    if (number) return integer(number, word && String(word.value));
  }
  if (inner instanceof z.ZodEnum) return { type: 'text', allowed: `one of ${inner.options.join(', ')}` };
  const allowed = meta['x-allowed'];
  return { type: 'text', allowed: typeof allowed === 'string' ? allowed : 'text that is not empty' };
}

function listOptions(schema: unknown, path: readonly string[]): Option[] {
  if (schema instanceof z.ZodPrefault) return listOptions(schema.unwrap(), path);
  if (schema instanceof z.ZodObject) {
    return Object.entries(schema.shape).flatMap(([name, child]) => listOptions(child, [...path, name]));
  }
  const option = unwrapped(schema);
  const { nullable, fallback, meta } = option;
  const dotted = path.join('.');
  return [
    {
      path: dotted,
      env: envName(dotted),
      kind: kindOf(option),
      nullable,
      fallback: fallbackOf(fallback, dotted),
      doc: String(meta.description),
      secret: meta['x-secret'] === true,
      live: meta['x-live'] === true,
      list: meta['x-list'] === true,
      fields: Array.isArray(meta['x-fields']) ? meta['x-fields'].map(String) : undefined,
    },
  ];
}

function fallbackOf(value: unknown, path: string): Option['fallback'] {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  throw new TypeError(`the option \`${path}\` has no default`);
}

/** Every option, in the order of the schema. */
export const options: readonly Option[] = listOptions(settingsSchema, []);

const byPath = new Map(options.map((option) => [option.path, option]));
const sections = new Set(
  options.flatMap(({ path }) => path.split('.').map((_, depth, parts) => parts.slice(0, depth).join('.'))),
);

/** The option at a dotted path, if there is one. */
export function optionAt(path: string): Option | undefined {
  return byPath.get(path);
}

/** True = a dotted path of a section (`gateway.limits`, and `''` for the root). */
export function isSection(path: string): boolean {
  return sections.has(path);
}

/** Names directly below a section, in the order of the schema. */
export function namesIn(section: string): readonly string[] {
  const prefix = section === '' ? '' : `${section}.`;
  const below = options.filter(({ path }) => path.startsWith(prefix));
  return [...new Set(below.map(({ path }) => path.slice(prefix.length).split('.')[0] ?? ''))];
}

/** The allowed values of an option, for a sentence that begins with `must be`. */
export function allowedValues({ kind, nullable }: Option): string {
  const orNull = nullable ? ', or null' : '';
  switch (kind.type) {
    case 'boolean':
      return `true or false (1/0, on/off and yes/no also count)${orNull}`;
    case 'integer':
      return `a whole number from ${kind.min} to ${kind.max}${kind.word ? `, or ${kind.word}` : ''}${orNull}`;
    case 'text':
      return `${kind.allowed}${orNull}`;
    default:
      return kind satisfies never;
  }
}

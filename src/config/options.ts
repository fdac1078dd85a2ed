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
};

const branch = z.object({ properties: z.record(z.string(), z.unknown()) });
const leaf = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  anyOf: z.array(z.looseObject({ type: z.string(), const: z.string().optional() })).optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  default: z.union([z.string(), z.number(), z.boolean(), z.null()]),
  description: z.string(),
  'x-secret': z.boolean().optional(),
  'x-live': z.boolean().optional(),
  'x-allowed': z.string().optional(),
});

/** Environment name of an option path: `service.api_key` is `QDRANT__SERVICE__API_KEY`. */
export function envName(path: string): string {
  const [first = '', ...rest] = path.toUpperCase().split('.');
  return first === 'GATEWAY' ? ['QDRANT_GATEWAY', ...rest].join('__') : ['QDRANT', first, ...rest].join('__');
}

function kindOf(node: z.output<typeof leaf>, types: readonly string[]): OptionKind {
  if (types.includes('boolean')) return { type: 'boolean' };
  if (types.includes('integer')) {
    const range = node.anyOf?.find((one) => one.type === 'integer') ?? node;
    const word = node.anyOf?.find((one) => typeof one.const === 'string')?.const;
    return { type: 'integer', min: Number(range.minimum), max: Number(range.maximum), word };
  }
  if (node.enum) return { type: 'text', allowed: `one of ${node.enum.join(', ')}` };
  return { type: 'text', allowed: node['x-allowed'] ?? 'text that is not empty' };
}

function listOptions(node: unknown, path: readonly string[]): Option[] {
  const section = branch.safeParse(node);
  if (section.success) {
    return Object.entries(section.data.properties).flatMap(([name, child]) => listOptions(child, [...path, name]));
  }
  const found = leaf.parse(node);
  const types = found.anyOf?.map((one) => one.type) ?? [found.type ?? []].flat();
  const dotted = path.join('.');
  return [
    {
      path: dotted,
      env: envName(dotted),
      kind: kindOf(found, types),
      nullable: types.includes('null'),
      fallback: found.default,
      doc: found.description,
      secret: found['x-secret'] === true,
      live: found['x-live'] === true,
    },
  ];
}

/** Every option, in the order of the schema. */
export const options: readonly Option[] = listOptions(z.toJSONSchema(settingsSchema, { io: 'input' }), []);

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

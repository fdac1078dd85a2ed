import type { z } from 'zod';
import { nearest } from '../nearest.ts';
import type { Problem } from '../problem.ts';
import type { YamlTree } from '../yaml/tree.ts';
import { accessEntrySchema } from './access-schema.ts';
import { boundsSchema } from './bounds-schema.ts';
import { exampleSchema, mappingSchema } from './issuers/schema.ts';
import { type PolicyEntry, QUOTA_FIELDS } from './schema.ts';

/* Lists of entries in a YAML file, each checked with a schema; shared by the policy file and the file of named keys. */

/** A file that is being read, and the problems found so far. */
export interface Reading {
  readonly tree: YamlTree;
  readonly problems: Problem[];
}

/** The entries of a list; invalid ones add to the problems. */
export function entriesOf<T>(
  { tree, problems }: Reading,
  section: string,
  list: readonly unknown[] | undefined,
  schema: z.ZodType<T> & { readonly shape: object },
): readonly PolicyEntry<T>[] {
  return (list ?? []).map((value, at) => {
    const parsed = schema.safeParse(value);
    const id = textAt(value, 'id');
    if (parsed.success) return { entry: parsed.data, id, at };
    for (const issue of parsed.error.issues) problems.push(...issueProblems(tree, [section, at], issue, schema));
    return { entry: undefined, id, at };
  });
}

function textAt(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const found = Object.entries(value).find(([key]) => key === name)?.[1];
  return typeof found === 'string' ? found : undefined;
}

const ENTRY_FIELDS = Object.keys(accessEntrySchema.shape);
const MAPPING_FIELDS = Object.keys(mappingSchema.shape);
const EXAMPLE_FIELDS = Object.keys(exampleSchema.shape);
const BOUND_FIELDS = Object.keys(boundsSchema.shape);

type Path = readonly (string | number)[];

/** The problems of one fault that a schema found. @param base path of the checked value */
export function issueProblems(
  tree: YamlTree,
  base: Path,
  issue: z.core.$ZodIssue,
  schema: { readonly shape: object },
): readonly Problem[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  if (issue.code === 'unrecognized_keys') {
    const allowed = path.length === base.length ? Object.keys(schema.shape) : innerFields(path);
    return issue.keys.map((key) => ({
      place: tree.placeOfKey([...path, key]),
      message: unknownField(key, allowed, path[0] === 'signing_keys'),
    }));
  }
  // The fault inside a list is more precise than "not a letter".
  const inner = issue.code === 'invalid_union' && Array.isArray(tree.valueAt(path)) ? issue.errors.at(-1) : undefined;
  if (inner) return inner.flatMap((one) => issueProblems(tree, path, one, schema));
  const field = path.findLast((part) => typeof part === 'string') ?? '';
  const what = path.length === base.length && base.length > 1 ? `an entry of \`${field}\`` : `\`${field}\``;
  return [{ place: tree.placeOf(path), message: `${what} ${issue.message}${shown(tree, path)}` }];
}

/** The fields of a section inside an entry. */
function innerFields(path: Path): readonly string[] {
  const list = path.at(-2);
  if (path[0] === 'limits') return QUOTA_FIELDS;
  if (path[0] === 'guards') return BOUND_FIELDS;
  if (list === 'mappings') return MAPPING_FIELDS;
  return list === 'examples' ? EXAMPLE_FIELDS : ENTRY_FIELDS;
}

/** The invalid value, quoted for an error text, unless it could be a secret. */
function shown(tree: YamlTree, path: Path): string {
  const value = tree.valueAt(path);
  if (path[0] === 'signing_keys' || path.some((part) => part === 'hash')) return '';
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? `, not \`${value}\``
    : '';
}

/**
 * The text for a member that the schema does not have.
 *
 * @param hidden do not quote the name: without its blank, `secret:value` is a name that contains a secret
 */
export function unknownField(name: string, allowed: readonly string[], hidden = false): string {
  const meant = nearest(name, allowed);
  const list = allowed.map((one) => `\`${one}\``).join(', ');
  const shownName = hidden ? '' : ` \`${name}\``;
  return `unknown field${shownName}, ${meant === undefined ? '' : `did you mean \`${meant}\`? `}allowed here: ${list}`;
}

/** Compares two problems by line, then column. */
export function byPlace(left: Problem, right: Problem): number {
  const [a, b] = [left, right].map(({ place }) => place.split(':').slice(-2).map(Number));
  return (a?.[0] ?? 0) - (b?.[0] ?? 0) || (a?.[1] ?? 0) - (b?.[1] ?? 0);
}

import type { z } from 'zod';
import { nearest } from '../../config/nearest.ts';
import type { Problem } from '../../config/problem.ts';
import { readYamlTree, type YamlTree } from '../../config/yaml/tree.ts';
import { DENIAL_CODES } from '../../policy/denial-codes.ts';
import {
  type AssumeEntry,
  assumeSchema,
  type CaseCaller,
  type CaseEntry,
  caseSchema,
  FILE_MEMBERS,
  INNER_MEMBERS,
  principalsSchema,
} from './schema.ts';

/** A case, with its place in the file. */
export interface PlacedCase {
  /** Its name, or one made of caller and request. */
  readonly name: string;
  /** `file:line:column`. */
  readonly place: string;
  readonly entry: CaseEntry;
}

/** A file of cases. */
export interface CaseFile {
  readonly file: string;
  readonly principals: Readonly<Record<string, CaseCaller>>;
  readonly assume: AssumeEntry;
  readonly cases: readonly PlacedCase[];
}

const CODES = ['allowed', 'denied', ...Object.keys(DENIAL_CODES)];

type Path = readonly (string | number)[];

/** Reads a file of cases with all its mistakes. @param text its content */
export function readCases(
  file: string,
  text: string,
): { readonly cases: CaseFile; readonly problems: readonly Problem[] } {
  const tree = readYamlTree(file, text);
  const problems: Problem[] = [...tree.problems];
  const empty: CaseFile = { file, principals: {}, assume: {}, cases: [] };
  if (problems.length > 0) return { cases: empty, problems };
  const { value } = tree;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { cases: empty, problems: [{ place: tree.placeOf([]), message: 'the file must have `cases`' }] };
  }
  const sections = new Map(Object.entries(value));
  for (const name of sections.keys()) {
    if (!FILE_MEMBERS.includes(name))
      problems.push({ place: tree.placeOfKey([name]), message: unknownMember(name, FILE_MEMBERS) });
  }
  const read = { tree, problems };
  const principals = parsed(read, ['principals'], principalsSchema, sections.get('principals') ?? {}) ?? {};
  const assume = parsed(read, ['assume'], assumeSchema, sections.get('assume') ?? {}) ?? {};
  const list = sections.get('cases');
  if (!Array.isArray(list) || list.length === 0)
    problems.push({ place: tree.placeOf(['cases']), message: '`cases` must be a list with at least one case' });
  const cases = (Array.isArray(list) ? list : []).flatMap((one: unknown, at) => caseOf(read, one, at));
  return { cases: { file, principals, assume, cases }, problems };
}

interface Reading {
  readonly tree: YamlTree;
  readonly problems: Problem[];
}

function caseOf(read: Reading, value: unknown, at: number): PlacedCase | [] {
  const path: Path = ['cases', at];
  const entry = parsed(read, path, caseSchema, value);
  if (!entry) return [];
  const place = read.tree.placeOf(path);
  if ((entry.request === undefined) === (entry.grpc === undefined)) {
    read.problems.push({ place, message: 'a case has either `request` or `grpc`' });
    return [];
  }
  const caller = typeof entry.as === 'string' ? entry.as : 'a token';
  return { name: entry.name ?? `${caller}: ${entry.request ?? entry.grpc}`, place, entry };
}

function parsed<T>({ tree, problems }: Reading, path: Path, schema: z.ZodType<T>, value: unknown): T | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) problems.push(...problemsOf(tree, path, issue, schema));
  return undefined;
}

function problemsOf(tree: YamlTree, base: Path, issue: z.core.$ZodIssue, schema: z.ZodType): readonly Problem[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))];
  const field = path.findLast((part) => typeof part === 'string') ?? '';
  if (issue.code === 'unrecognized_keys') {
    const own = 'shape' in schema ? Object.keys(Object(schema.shape)) : [];
    const allowed = path.length === base.length ? own : (INNER_MEMBERS[field] ?? []);
    return issue.keys.map((key) => ({ place: tree.placeOfKey([...path, key]), message: unknownMember(key, allowed) }));
  }
  // The fault inside a section is more precise than that of the alternatives.
  const value = tree.valueAt(path);
  const inner = issue.code === 'invalid_union' && typeof value === 'object' ? issue.errors.at(-1) : undefined;
  if (inner) return inner.flatMap((one) => problemsOf(tree, path, one, schema));
  const shown = typeof value === 'string' || typeof value === 'number' ? `, not \`${value}\`` : '';
  const meant = field === 'code' || field === 'expect' ? codeMeant(value) : '';
  return [{ place: tree.placeOf(path), message: `\`${field}\` ${issue.message}${shown}${meant}` }];
}

function codeMeant(value: unknown): string {
  const near = typeof value === 'string' ? nearest(value, CODES) : undefined;
  return near === undefined ? '' : `; did you mean \`${near}\`?`;
}

function unknownMember(name: string, allowed: readonly string[]): string {
  const meant = nearest(name, allowed);
  const list = allowed.map((one) => `\`${one}\``).join(', ');
  return `unknown field \`${name}\`, ${meant === undefined ? '' : `did you mean \`${meant}\`? `}allowed here: ${list}`;
}

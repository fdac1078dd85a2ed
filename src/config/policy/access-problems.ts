import type { AccessEntry, AccessSettings } from '../../policy/settings.ts';
import { nearest } from '../nearest.ts';

/** All names of operations, with where a grant may name each; see `operations/names.ts`. */
export type KnownOperations = ReadonlyMap<string, 'collection' | 'read' | 'none' | 'open'>;

/** Reports a problem at a path below the access. */
export type Report = (path: readonly (string | number)[], message: string) => void;

/** Checks an access beyond the schema. @param operations all names; operations are not checked without them */
export function checkAccess(
  access: AccessSettings | undefined,
  operations: KnownOperations | undefined,
  report: Report,
): void {
  if (access === undefined || typeof access === 'string') return;
  const seen = new Set<string>();
  for (const [at, entry] of access.entries()) {
    const here: Report = (path, message) => report([at, ...path], message);
    if (entry.collection === undefined) checkGrant(entry, operations, here);
    else checkListed(entry, entry.collection, seen, here);
  }
}

function checkListed(entry: AccessEntry, collection: string, seen: Set<string>, report: Report): void {
  if (seen.has(collection)) report(['collection'], `the collection \`${collection}\` is given twice`);
  seen.add(collection);
  checkName(collection, (message) => report(['collection'], message));
  if (entry.access === undefined) report([], 'the entry permits nothing: set `access`');
  for (const field of ['collections', 'operations', 'manage', 'max_collections'] as const) {
    if (entry[field] !== undefined)
      report([field], `\`${field}\` needs \`collections\` in the place of \`collection\``);
  }
}

function checkGrant(entry: AccessEntry, operations: KnownOperations | undefined, report: Report): void {
  const { collections, access, operations: named, manage, max_collections: most } = entry;
  for (const [at, name] of (collections ?? []).entries()) {
    checkName(name, (message) => report(['collections', at], message));
  }
  if (access === undefined && named === undefined && manage === undefined) {
    report([], 'the entry permits nothing: set `access`, `operations` or `manage`');
  }
  for (const [field, list] of Object.entries({ collections, operations: named, manage })) {
    if (list?.length === 0) report([field], `\`${field}\` is empty, so the entry permits nothing: add one`);
  }
  if (collections === undefined && (access !== undefined || manage !== undefined)) {
    const what = access === undefined ? 'manage' : 'access';
    report([what], `\`${what}\` needs \`collections\`; \`*\` stands for all of them`);
  }
  if (most !== undefined && !manage?.includes('create')) {
    report(['max_collections'], '`max_collections` needs `create` in `manage`');
  }
  for (const [at, name] of (named ?? []).entries()) {
    const problem = operationProblem(name, operations, collections !== undefined);
    if (problem !== undefined) report(['operations', at], problem);
  }
}

/** Checks the name of a collection, or a pattern. */
export function checkName(name: string, report: (message: string) => void): void {
  const literal = name.endsWith('*') ? name.slice(0, -1) : name;
  if (literal.includes('*')) report(`\`${name}\`: a \`*\` is allowed at the end only`);
  // Half a character would match more than its bytes.
  else if (literal !== name && !literal.isWellFormed()) report('the prefix is not valid Unicode');
}

/** The problem with the name of an operation; `undefined` = none. @param bound true = for named collections */
function operationProblem(name: string, operations: KnownOperations | undefined, bound: boolean): string | undefined {
  if (!operations) return undefined;
  const reach = operations.get(name);
  switch (reach) {
    case undefined:
      return unknownOperation(name, operations);
    case 'none':
      return `\`${name}\` needs global manage: \`manage\` gives create, update, delete and aliases on collections`;
    case 'read':
      return bound ? `\`${name}\` belongs to no collection: name it in an entry without \`collections\`` : undefined;
    case 'collection':
      return bound ? undefined : `\`${name}\` needs \`collections\`; \`*\` stands for all of them`;
    default:
      return undefined;
  }
}

/** The text for a name that no operation has. */
export function unknownOperation(name: string, operations: KnownOperations): string {
  const meant = nearest(name, [...operations.keys()]);
  return `unknown operation \`${name}\`${meant === undefined ? '' : `, did you mean \`${meant}\`?`}`;
}

import { resolve } from 'node:path';
import type { KeyHash, NamedKeySettings } from '../../policy/named-key.ts';
import { checkAccess, type KnownOperations } from '../policy/access-problems.ts';
import { byPlace, entriesOf, unknownField } from '../policy/entries.ts';
import type { PolicyEntry } from '../policy/schema.ts';
import { type Problem, reason } from '../problem.ts';
import { rangeFault } from '../proxy-rules.ts';
import type { Config } from '../schema.ts';
import type { ReadFile } from '../secrets.ts';
import { readYamlTree, type YamlTree } from '../yaml/tree.ts';
import { BREAK_GLASS_HOURS } from './moment.ts';
import { type QuickRead, readAhead, readQuickly } from './quick-read.ts';
import { type KeyEntry, namedKeySchema } from './schema.ts';

/** Inputs for reading the file of named keys. */
export interface NamedKeySources {
  readonly cwd: string;
  readonly readFile: ReadFile;
  /** Operation names that an access may use; not checked if absent. */
  readonly operations?: KnownOperations | undefined;
  /** The place where `gateway.keys_file` was set. */
  readonly place: string;
}

/** The named keys; `undefined` = there is no file. */
export interface NamedKeysPreview {
  readonly keys: readonly NamedKeySettings[] | undefined;
  readonly problems: readonly Problem[];
}

/** Most keys in a file. */
export const MAX_KEYS = 100_000;

/** Reads the file of named keys, if there is one, with all problems and their places. Does not throw. */
export function readNamedKeys(config: Config, sources: NamedKeySources): NamedKeysPreview {
  const file = config.gateway.keys_file;
  if (file === null) return { keys: undefined, problems: [] };
  try {
    const text = sources.readFile(resolve(sources.cwd, file)).toString('utf8');
    const { entries, problems } = readKeyEntries(file, text, sources.operations);
    return { keys: entries.map(settingsOf), problems };
  } catch (error) {
    const message = `cannot read the file of named keys \`${file}\`: ${reason(error)}`;
    return { keys: [], problems: [{ place: sources.place, message }] };
  }
}

/** The valid entries of a file's text, with all problems. */
export function readKeyEntries(
  file: string,
  text: string,
  operations?: KnownOperations,
): { readonly entries: readonly KeyEntry[]; readonly problems: readonly Problem[] } {
  const quick = readQuickly(text, quickRead(operations));
  if (quick) return { entries: quick, problems: [] };
  const tree = readYamlTree(file, text);
  if (tree.problems.length > 0) return { entries: [], problems: tree.problems };
  const problems: Problem[] = [];
  const list = listIn(tree, problems);
  const read = entriesOf({ tree, problems }, 'keys', list, namedKeySchema);
  for (const one of read) problems.push(...entryProblems(tree, one, operations));
  problems.push(...twice(tree, read));
  return { entries: read.flatMap(({ entry }) => entry ?? []), problems: problems.sort(byPlace) };
}

/** Reads a long text some at a time, so that `readKeyEntries` of it is short. Never rejects. */
export function readKeysAhead(text: string, operations: KnownOperations): Promise<void> {
  return readAhead(text, quickRead(operations));
}

function quickRead(operations: KnownOperations | undefined): QuickRead {
  const check = (value: unknown): KeyEntry | undefined => {
    const { data } = namedKeySchema.safeParse(value);
    return data && entryFaults(data, operations).length === 0 ? data : undefined;
  };
  return { check, operations, most: MAX_KEYS };
}

function listIn(tree: YamlTree, problems: Problem[]): readonly unknown[] {
  const { value } = tree;
  const fail = (place: string, message: string): readonly unknown[] => {
    problems.push({ place, message });
    return [];
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail(tree.placeOf([]), 'the file must have `keys`: write `keys: []` for none');
  }
  for (const name of Object.keys(value)) {
    if (name !== 'keys') problems.push({ place: tree.placeOfKey([name]), message: unknownField(name, ['keys'], true) });
  }
  const list = tree.valueAt(['keys']);
  if (!Array.isArray(list)) return fail(tree.placeOf(['keys']), '`keys` must be a list');
  return list.length > MAX_KEYS ? fail(tree.placeOf(['keys']), `more than ${MAX_KEYS} keys`) : list;
}

/** A fault of an entry, and its place there. */
export type KeyEntryFault = readonly [path: readonly (string | number)[], message: string];

/** The key of callers without one, and of people whom an identity provider signs in to the console. */
const RESERVED: ReadonlySet<string> = new Set(['none', 'oidc']);

/** Faults of an entry beyond the schema. */
export function entryFaults(entry: KeyEntry, operations: KnownOperations | undefined): readonly KeyEntryFault[] {
  const faults: KeyEntryFault[] = [];
  checkAccess(entry.access, operations, (path, message) => faults.push([['access', ...path], message]));
  for (const [at, network] of (entry.networks ?? []).entries()) {
    const fault = rangeFault(network);
    if (fault !== undefined) faults.push([['networks', at], fault]);
  }
  if (entry.break_glass) faults.push(...breakGlassFaults(entry));
  if (RESERVED.has(entry.id)) faults.push([['id'], `\`${entry.id}\` is reserved: choose another id`]);
  if (!isBearable(entry.hash)) faults.push([['hash'], '`hash` takes too much memory, or its cost is no power of two']);
  return faults;
}

/** A break-glass key ends soon after its begin, whatever its file says later. */
function breakGlassFaults({ expires_at: end, not_before: notBefore, created_at: created }: KeyEntry): KeyEntryFault[] {
  const begin = notBefore ?? created;
  if (begin === undefined) return [[['break_glass'], '`break_glass` needs `created_at` or `not_before`']];
  const from = notBefore === undefined ? 'created_at' : 'not_before';
  const fault = `\`expires_at\` of a break-glass key must be at most ${BREAK_GLASS_HOURS} hours after its \`${from}\``;
  const isSoon = end !== 'never' && Date.parse(end) - Date.parse(begin) <= BREAK_GLASS_HOURS * 3_600_000;
  return isSoon ? [] : [[['expires_at'], fault]];
}

function entryProblems(tree: YamlTree, { entry, at }: PolicyEntry<KeyEntry>, operations?: KnownOperations): Problem[] {
  if (!entry) return [];
  return entryFaults(entry, operations).map(([path, message]) => ({
    place: tree.placeOf(['keys', at, ...path]),
    message,
  }));
}

function twice(tree: YamlTree, entries: readonly PolicyEntry<KeyEntry>[]): Problem[] {
  const seen = new Set<string>();
  return entries.flatMap(({ id, at }) => {
    if (id === undefined) return [];
    const again = seen.has(id);
    seen.add(id);
    return again ? [{ place: tree.placeOf(['keys', at, 'id']), message: `the id \`${id}\` is given twice` }] : [];
  });
}

/** At most 128 MiB for one verification. */
function isBearable(text: string): boolean {
  const hash = hashOf(text);
  if (hash.kind !== 'scrypt') return true;
  const { cost, blockSize, parallelization } = hash;
  const isPower = cost > 1 && (cost & (cost - 1)) === 0;
  return isPower && blockSize > 0 && parallelization > 0 && 128 * cost * blockSize <= 128 * 1_048_576;
}

const settingsByEntry = new WeakMap<KeyEntry, NamedKeySettings>();

/** The settings of a valid entry: the same object for the same entry, so that what has not changed is seen at once. */
export function settingsOf(entry: KeyEntry): NamedKeySettings {
  const known = settingsByEntry.get(entry);
  if (known) return known;
  const settings = newSettingsOf(entry);
  settingsByEntry.set(entry, settings);
  return settings;
}

function newSettingsOf(entry: KeyEntry): NamedKeySettings {
  const {
    id,
    name,
    owner,
    postfix,
    access,
    networks,
    previous,
    expires_at: expires,
    not_before: begins,
    break_glass: breakGlass,
    created_at: created,
    state,
    limits,
    tenant,
  } = entry;
  // The life of a break-glass key is counted from there.
  const begin = begins ?? (breakGlass ? created : undefined);
  return Object.freeze({
    ...{ id, name, owner, postfix, access, networks },
    hash: hashOf(entry.hash),
    previous: previous && { hash: hashOf(previous.hash), until: Date.parse(previous.until) },
    expiresAt: expires === 'never' ? undefined : Date.parse(expires),
    notBefore: begin === undefined ? undefined : Date.parse(begin),
    disabled: state === 'disabled',
    ...(limits && { limits }),
    ...(tenant !== undefined && { tenant: Array.isArray(tenant) ? tenant : [tenant] }),
    ...(breakGlass && { breakGlass }),
  });
}

function hashOf(text: string): KeyHash {
  const [kind, ...parts] = text.split(':');
  if (kind === 'sha256') return { kind, digest: parts[0] ?? '' };
  const [cost, blockSize, parallelization] = parts.map(Number);
  return {
    kind: 'scrypt',
    ...{ cost: cost ?? 0, blockSize: blockSize ?? 0, parallelization: parallelization ?? 0 },
    ...{ salt: parts[3] ?? '', hash: parts[4] ?? '' },
  };
}

/** The text of a hash in the file. */
export function hashText(hash: KeyHash): string {
  if (hash.kind === 'sha256') return `sha256:${hash.digest}`;
  const { cost, blockSize, parallelization, salt, hash: derived } = hash;
  return `scrypt:${cost}:${blockSize}:${parallelization}:${salt}:${derived}`;
}

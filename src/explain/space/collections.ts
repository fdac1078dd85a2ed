import type { State } from '../../config/state.ts';
import type { MappingSettings } from '../../policy/mapping/mapper.ts';
import type { AccessSettings } from '../../policy/settings.ts';
import { namesMade } from '../mapped/claims.ts';
import { type ClaimName, namesOf } from '../mapped/templates.ts';

/**
 * The classes of collections under some policies and keys. All that a policy says of a collection, it says by a name or by a
 * prefix: two names that no policy mentions, and whose longest mentioned prefix is the same, meet the same entries. So one name
 * per class stands for all.
 */
export interface CollectionClass {
  /** A name, `docs-*` for the others with this prefix, `${team}-*` for those that a claim names, or `*` for all others. */
  readonly label: string;
  /** A name of the class. */
  readonly name: string;
  /** Another one; absent = the class has one name. */
  readonly second?: string;
}

/** Label of the names that nothing mentions. */
export const REST_LABEL = '*';

/** The names and patterns that these states mention, in rules, guards, limits, tenants and named keys. */
export function mentionedIn(states: readonly Pick<State, 'policy'>[]): readonly string[] {
  const own = states.flatMap(({ policy }) => [
    ...(policy.namedKeys ?? []).flatMap(({ access }) => namesIn(access)),
    ...namesOf(mappingsIn(policy)).literal,
  ]);
  return [...new Set([...sharedNames(states), ...own])];
}

/** The names and patterns that concern more than one caller: those of rules, guards, limits and tenants. */
export function sharedNames(states: readonly Pick<State, 'policy'>[]): readonly string[] {
  return states.flatMap(({ policy }) => [
    ...policy.rules.flatMap(({ access }) => namesIn(access)),
    ...(policy.guards ?? []).flatMap(({ protected: kept = [], freeze, bounds }) => [
      ...kept,
      ...(Array.isArray(freeze) ? freeze : []),
      ...(bounds?.collections ?? []),
    ]),
    ...(policy.limits ?? []).flatMap(({ collections = [] }) => collections),
    ...(policy.tenants ?? []).flatMap(({ collections }) => collections),
  ]);
}

/** The names that claims make under these states. */
export function claimedIn(states: readonly Pick<State, 'policy'>[]): readonly ClaimName[] {
  return states.flatMap(({ policy }) => namesOf(mappingsIn(policy)).claimed);
}

/** All mappings of a policy: those of issuers and of client certificates. */
export function mappingsIn({ issuers = [], clientCertificates }: State['policy']): readonly MappingSettings[] {
  return [...issuers.flatMap(({ mappings }) => mappings), ...(clientCertificates?.mappings ?? [])];
}

function namesIn(access: AccessSettings | undefined): readonly string[] {
  if (access === undefined || typeof access === 'string') return [];
  return access.flatMap(({ collection, collections = [] }) =>
    collection === undefined ? collections : [collection, ...collections],
  );
}

/**
 * The classes, one for each mentioned name, each mentioned prefix, each name that claims make, and all others.
 *
 * @param more further names or patterns
 */
export function collectionClasses(
  mentioned: readonly string[],
  more: readonly string[] = [],
  claimed: readonly ClaimName[] = [],
): readonly CollectionClass[] {
  const own = [...new Set([...mentioned, ...more])];
  const made = namesMade(claimed, own);
  const all = [...own, ...made.keys()];
  const labelOf = (text: string): string => made.get(text) ?? text;
  const names = all.filter((one) => !one.endsWith('*')).sort();
  const prefixes = [...new Set(['', ...all.filter((one) => one.endsWith('*')).map((one) => one.slice(0, -1))])].sort();
  const taken = new Set(names);
  return [
    ...names.map((name) => ({ label: labelOf(name), name })),
    ...prefixes.map((prefix) => {
      const name = freshName(prefix, prefixes, taken);
      return { label: labelOf(`${prefix}*`), name, second: freshName(prefix, prefixes, new Set([...taken, name])) };
    }),
  ];
}

/** A name whose longest mentioned prefix is this one, and that is not mentioned itself. */
function freshName(prefix: string, prefixes: readonly string[], taken: ReadonlySet<string>): string {
  const longer = prefixes.filter((one) => one.length > prefix.length && one.startsWith(prefix));
  const isFree = (name: string): boolean => !taken.has(name) && longer.every((one) => !name.startsWith(one));
  for (let count = 0; ; count += 1) {
    const name = `${prefix}${suffix(count)}`;
    if (isFree(name)) return name;
  }
}

/** `other`, `other1`, ... then digits first, so that some suffix begins as no mentioned prefix goes on. */
function suffix(count: number): string {
  if (count === 0) return 'other';
  return count % 2 === 0 ? `${count}-other` : `other${count}`;
}

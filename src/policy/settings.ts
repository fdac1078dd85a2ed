import {
  type Access,
  type CollectionMode,
  GLOBAL_MANAGE,
  GLOBAL_READ,
  type Grant,
  grantAccess,
  type ManageRight,
} from './access.ts';
import type { GuardRail } from './guards/guard-rail.ts';
import { type LimitSettings, limitsOf } from './limits/limits.ts';
import { collectionNames, isPattern } from './names/collection-names.ts';
import { expandGroups, NO_SNAPSHOTS } from './operation-groups.ts';
import type { Policy, PolicyMode, Rule } from './rules.ts';
import type { Bound, BoundSettings } from './search/bounds.ts';

/** A rule of the policy file: plain data that can be written to a file and sent to another process. */
export interface RuleSettings {
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  readonly keys?: readonly string[] | undefined;
  readonly subjects?: readonly string[] | undefined;
  readonly access?: AccessSettings | undefined;
  /** Names of operations and of ready groups. */
  readonly operations?: readonly string[] | undefined;
  /** The same, refused. */
  readonly deny_operations?: readonly string[] | undefined;
  readonly ready?: 'no-snapshots' | undefined;
}

/** An access: all collections, or entries, each of which permits alone what it says. */
export type AccessSettings = 'r' | 'm' | readonly AccessEntry[];

/** `collection` and `access` as in the `access` claim, or the gateway's own form. A trailing `*` makes a name a prefix. */
export interface AccessEntry {
  readonly collection?: string | undefined;
  readonly collections?: readonly string[] | undefined;
  readonly access?: Exclude<CollectionMode, 'pr'> | undefined;
  /** Names of operations and of ready groups. */
  readonly operations?: readonly string[] | undefined;
  readonly manage?: readonly ManageRight[] | undefined;
  readonly max_collections?: number | undefined;
}

/** A guard of the policy file: plain data. */
export interface GuardSettings {
  readonly id: string;
  readonly mode: 'enforce' | 'shadow';
  readonly protected?: readonly string[] | undefined;
  /** True = everything; a trailing `*` makes a name a prefix. */
  readonly freeze?: boolean | readonly string[] | undefined;
  readonly bounds?: BoundSettings | undefined;
}

/** Builds the policy of these rules, guards and limits. */
export function policyOf(
  mode: PolicyMode,
  rules: readonly RuleSettings[],
  guards: readonly GuardSettings[] = [],
  limits: readonly LimitSettings[] = [],
): Policy {
  const rails = guards.map(railOf).filter(({ protects, freezes }) => protects ?? freezes);
  rails.sort((left, right) => (left.id < right.id ? -1 : 1));
  const bounds = guards.flatMap(boundOf).sort((left, right) => (left.id < right.id ? -1 : 1));
  return Object.freeze({
    ...{ mode, rules: Object.freeze(rules.map(ruleOf)) },
    ...(rails.length > 0 && { rails: Object.freeze(rails) }),
    ...(bounds.length > 0 && { bounds: Object.freeze(bounds) }),
    ...(limits.length > 0 && { limits: limitsOf(limits) }),
  });
}

function railOf({ id, mode, protected: names, freeze }: GuardSettings): GuardRail {
  const freezes = typeof freeze === 'object' ? collectionNames(freeze) : freeze === true ? ('all' as const) : undefined;
  return Object.freeze({ id, mode, protects: names && collectionNames(names), freezes });
}

function boundOf({ id, mode, bounds: most }: GuardSettings): Bound | [] {
  if (!most) return [];
  const { keys, subjects, collections } = most;
  return Object.freeze({
    ...{ id, mode, keys: keys && new Set(keys), subjects: subjects && new Set(subjects) },
    ...{ collections: collections && collectionNames(collections), most },
  });
}

function ruleOf({ id, mode, keys, subjects, access, operations, deny_operations: deny, ready }: RuleSettings): Rule {
  const denied = [...expandGroups(deny ?? []), ...(ready === 'no-snapshots' ? NO_SNAPSHOTS : [])];
  return Object.freeze({
    id,
    mode,
    keys: keys && new Set(keys),
    subjects: subjects && new Set(subjects),
    access: access === undefined ? undefined : accessOf(access),
    operations: operations && new Set(expandGroups(operations)),
    ...(denied.length > 0 && { denied: new Set(denied) }),
  });
}

/**
 * The access of these settings. Entries in the form of a token with exact names, each once, are a list, as a token has it. Of a
 * name that stands twice each entry counts, whatever their order.
 */
export function accessOf(access: AccessSettings): Access {
  if (access === 'm') return GLOBAL_MANAGE;
  if (access === 'r') return GLOBAL_READ;
  const modes = new Map<string, CollectionMode>();
  for (const entry of access) {
    const { collection, access: mode, ...own } = entry;
    const asToken = Object.values(own).every((field) => field === undefined) && !modes.has(collection ?? '');
    if (collection === undefined || mode === undefined || !asToken || isPattern(collection)) {
      return grantAccess(access.map(grantOf));
    }
    modes.set(collection, mode);
  }
  return Object.freeze({ kind: 'list', modes });
}

/** The access of a token whose names may be patterns: a name with a trailing `*` is a prefix. */
export function withPatterns(access: Access): Access {
  if (access.kind !== 'list') return access;
  return accessOf([...access.modes].map(([collection, mode]) => ({ collection, access: mode === 'pr' ? 'r' : mode })));
}

function grantOf(entry: AccessEntry): Grant {
  const { collection, access: mode, operations, manage = [], max_collections: maxCollections } = entry;
  const collections = [...(entry.collections ?? []), ...(collection === undefined ? [] : [collection])];
  return Object.freeze({
    ...collectionNames(collections),
    mode,
    operations: operations && new Set(expandGroups(operations)),
    manage: new Set(manage),
    maxCollections,
  });
}

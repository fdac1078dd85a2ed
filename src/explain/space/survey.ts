import { INTERNAL_FAULT } from '../../policy/denial.ts';
import type { OfflineParts } from '../parts.ts';
import { AlikeNames } from './alike.ts';
import type { CollectionClass } from './collections.ts';
import { canNameOthers, isListing, isOnAliases, isOnCollection } from './operations.ts';
import type { Identity, PrincipalClass } from './principal-class.ts';
import type { RowClass } from './row-classes.ts';
import { type CellVerdict, verdictOf } from './verdict.ts';

/*
 * Every class of requests, asked under one or more states. Names are independent of each other where a decision asks for each
 * alone: the main collection, and the others in a body. The names of an alias change are asked in pairs, since one grant must
 * cover both.
 */

/**
 * - `on`: an operation on the collection
 * - `names`: its body names the collection beside one that it may use
 * - `listed`: its answer shows the collection
 * - `aliases`: it changes an alias of two names
 * - `global`: an operation that is on no collection
 */
export type Role = 'on' | 'names' | 'listed' | 'aliases' | 'global';

/** A class of requests with its verdict under each state, in their order. */
export interface Surveyed {
  readonly principal: PrincipalClass;
  readonly role: Role;
  /** Label of the class of collections, `a -> b` for a pair; empty = none. */
  readonly place: string;
  readonly rows: RowClass;
  readonly verdicts: readonly CellVerdict[];
}

/** The classes that are asked. */
export interface Space {
  readonly principals: readonly PrincipalClass[];
  readonly collections: readonly CollectionClass[];
  readonly rows: readonly RowClass[];
}

/** Identities under each state, by label of a class, or by two names. */
type Known = ReadonlyMap<string, readonly Identity[]>;

/**
 * Asks all classes and hands each over.
 *
 * @param isKnown true = the verdicts of a caller with these identities under each state are of no interest. Default: never
 * @param progress called before each caller, with the number of those that have been asked, and of all
 */
export async function survey(
  states: readonly OfflineParts[],
  space: Space,
  visit: (one: Surveyed) => void,
  isKnown: (identities: readonly Identity[]) => boolean = () => false,
  progress: (done: number, all: number) => void = () => undefined,
): Promise<void> {
  for (const [at, principal] of space.principals.entries()) {
    progress(at, space.principals.length);
    await surveyOne({ states, space, visit, principal, isKnown });
  }
}

interface Surveying {
  readonly states: readonly OfflineParts[];
  readonly space: Space;
  readonly visit: (one: Surveyed) => void;
  readonly principal: PrincipalClass;
  readonly isKnown: (identities: readonly Identity[]) => boolean;
}

async function surveyOne(own: Surveying): Promise<void> {
  const { states, space, visit, principal } = own;
  const known = new Map<string, readonly Identity[]>();
  let asked = false;
  const alike = await alikeOf(own);
  const judge = judgeOf(states, alike);
  for (const { label, name } of space.collections) {
    const identities = await identitiesOf(own, name);
    known.set(label, identities);
    if (own.isKnown(identities)) continue;
    asked = true;
    for (const rows of space.rows) {
      const { row } = rows;
      const told = { principal, place: label, rows };
      if (isOnCollection(row)) {
        const verdicts = judge(identities, { row, collection: name, others: [] });
        visit({ ...told, role: 'on', verdicts });
      }
      if (isListing(row)) {
        const verdicts = judge(identities, { row, collection: undefined, others: [] }, name);
        visit({ ...told, role: 'listed', verdicts: verdicts.map(withoutConditions) });
      }
    }
  }
  if (!asked) return;
  const [first] = known.values();
  const beside = principal.byCollection ? await identitiesBeside(own) : undefined;
  for (const rows of space.rows) {
    const { row } = rows;
    if (first && !isOnCollection(row) && !isOnAliases(row)) {
      const cell = { row, collection: undefined, others: [] };
      visit({ principal, role: 'global', place: '', rows, verdicts: verdictsOf(states, first, cell) });
    }
    if (isOnAliases(row)) surveyAliases(own, rows, known, judge);
    if (canNameOthers(row)) surveyNames(own, rows, known, alike ?? beside);
  }
}

/** The verdicts under each state. @param shown the collection in a list that is asked for */
type Judge = (identities: readonly Identity[], cell: CellAsked, shown?: string) => readonly CellVerdict[];

type CellAsked = Parameters<typeof verdictOf>[2];

/** The names that the caller cannot tell apart; `undefined` = its credential depends on the collection. */
async function alikeOf(own: Surveying): Promise<AlikeNames | undefined> {
  const { states, space, principal } = own;
  const [first] = space.collections;
  return principal.byCollection || !first ? undefined : new AlikeNames(states, await identitiesOf(own, first.name));
}

/** Judges requests, each kind of a caller once. */
function judgeOf(states: readonly OfflineParts[], alike: AlikeNames | undefined): Judge {
  const all: Judge = (identities, cell, shown) => verdictsOf(states, identities, cell, shown);
  if (!alike) return all;
  const judged = new Map<CellAsked['row'], Map<string, readonly CellVerdict[]>>();
  return (identities, cell, shown) => {
    const { row, collection, others } = cell;
    const names = [collection, shown, ...others].map((name) => (name === undefined ? '' : alike.groupOf({ name })));
    // An alias of a name to itself is another question.
    const key = `${names.join(' ')}${others.length > 1 && others[0] === others[1] ? ' same' : ''}`;
    const known = judged.get(row) ?? new Map<string, readonly CellVerdict[]>();
    judged.set(row, known);
    const verdicts = known.get(key) ?? all(identities, cell, shown);
    known.set(key, verdicts);
    return verdicts;
  };
}

function identitiesOf({ states, principal }: Surveying, name: string, target?: string): Promise<readonly Identity[]> {
  return Promise.all(states.map((state) => principal.identify(state, name, target)));
}

/** Credentials that list a second collection, by both names. */
async function identitiesBeside(own: Surveying): Promise<Known> {
  const found = new Map<string, readonly Identity[]>();
  for (const { name } of own.space.collections) {
    for (const target of targetsOf(own.space)) found.set(`${name} ${target}`, await identitiesOf(own, name, target));
  }
  return found;
}

function targetsOf({ collections }: Space): readonly string[] {
  return collections.flatMap(({ name, second }) => (second === undefined ? [name] : [name, second]));
}

function verdictsOf(
  states: readonly OfflineParts[],
  identities: readonly Identity[],
  cell: Parameters<typeof verdictOf>[2],
  shown?: string,
): readonly CellVerdict[] {
  return states.map((state, at) => verdictOf(state, identities[at] ?? NEVER, cell, shown));
}

function surveyAliases({ space, visit, principal }: Surveying, rows: RowClass, known: Known, judge: Judge): void {
  for (const one of space.collections) {
    for (const other of space.collections) {
      const cell = { row: rows.row, collection: undefined, others: [one.name, other.name] };
      const verdicts = judge(known.get(one.label) ?? [], cell);
      visit({ principal, role: 'aliases', place: `${one.label} -> ${other.label}`, rows, verdicts });
    }
  }
}

/** The verdict on another name is asked beside a collection that the caller may use; without one it is a refusal. */
function surveyNames(
  { states, space, visit, principal }: Surveying,
  rows: RowClass,
  known: Known,
  apart: AlikeNames | Known | undefined,
): void {
  const [alike, beside] = apart instanceof AlikeNames ? [apart, undefined] : [undefined, apart];
  const judged = new Map<string, readonly CellVerdict[]>();
  const all = targetsOf(space);
  const [any = []] = known.values();
  // A credential that does not depend on the collection may use the same one beside every other.
  const own = states.map((state, at) =>
    beside ? [...all] : [all.find((target) => mayUse(state, any[at] ?? NEVER, rows, target)) ?? []].flat(),
  );
  for (const { label, name } of space.collections) {
    const group = alike?.groupOf({ name }) ?? name;
    const verdicts =
      judged.get(group) ??
      states.map((state, at) => {
        const identityBeside = (target: string): Identity =>
          (beside?.get(`${name} ${target}`) ?? known.get(label))?.[at] ?? NEVER;
        return verdictBeside(state, rows, name, own[at] ?? [], identityBeside);
      });
    judged.set(group, verdicts);
    visit({ principal, role: 'names', place: label, rows, verdicts });
  }
}

function mayUse(state: OfflineParts, identity: Identity, { row }: Pick<RowClass, 'row'>, target: string): boolean {
  return verdictOf(state, identity, { row, collection: target, others: [] }).allowed;
}

/** The restrictions of the request are those of its main collection, or of the request as a whole. */
function withoutConditions({ allowed, code }: CellVerdict): CellVerdict {
  return { allowed, ...(code !== undefined && { code }), conditions: [] };
}

function verdictBeside(
  state: OfflineParts,
  { row }: RowClass,
  name: string,
  targets: string[],
  identityBeside: (target: string) => Identity,
): CellVerdict {
  for (const [at, target] of targets.entries()) {
    const identity = identityBeside(target);
    if (!mayUse(state, identity, { row }, target)) continue;
    // The next name is likely to find the same one: it is tried first.
    targets[at] = targets[0] ?? target;
    targets[0] = target;
    return withoutConditions(verdictOf(state, identity, { row, collection: target, others: [name] }));
  }
  return NOWHERE;
}

const NOWHERE: CellVerdict = Object.freeze({ allowed: false, conditions: Object.freeze([]) });
const NEVER = INTERNAL_FAULT;

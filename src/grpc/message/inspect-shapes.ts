import { GRPC_OPERATIONS } from '../../operations/grpc.ts';
import type { GrpcOperation, InspectorName, ManagedInspectorName } from '../../policy/operation.ts';
import type { PartKind, Slot } from '../../policy/search/facts.ts';
import type { Tells } from './message-facts.ts';
import { type Fields, MESSAGES, type MessageName, REQUESTS } from './request-messages.ts';

/** The scanner's rule for a field. */
export type Rule =
  /** The main collection name. */
  | { readonly kind: 'target' }
  /** The name in a `LookupLocation` or `WithLookup`. */
  | { readonly kind: 'name' }
  /** A name beside the look-ups: every occurrence counts. */
  | { readonly kind: 'mention' }
  /** The name of a vector or a snapshot: no collection, and checked for dots alone. */
  | { readonly kind: 'label' }
  | {
      readonly kind: 'message';
      readonly role: Role;
      readonly shape: Shape;
      /** The meaning of its presence, where numbers are read. */
      readonly tells?: Tells | undefined;
    }
  /** A number: a varint, a varint that is true or false, and a double. */
  | { readonly kind: 'number' | 'double'; readonly slot: Slot }
  | { readonly kind: 'exact' };

/** Role of a message's names in its parent; `plain` = without names. */
export type Role = 'plain' | 'carrier' | 'lookupFrom' | 'withLookup';

/** A message type; `rules` is indexed by field number. */
export interface Shape {
  readonly rules: readonly (Rule | undefined)[];
  /** Its index in `NAME_FREE_FIELDS`; 0 = absent, because it may contain a name. */
  readonly nameFree: number;
  /** The part that a whole request is, where its numbers are read. */
  readonly part?: PartKind;
}

/** The request messages that can name other collections. */
const INSPECTED: Readonly<Record<InspectorName, MessageName>> = {
  recommend: 'RecommendPoints',
  'recommend-batch': 'RecommendBatchPoints',
  'recommend-groups': 'RecommendPointGroups',
  discover: 'DiscoverPoints',
  'discover-batch': 'DiscoverBatchPoints',
  query: 'QueryPoints',
  'query-batch': 'QueryBatchPoints',
  'query-groups': 'QueryPointGroups',
  'search-groups': 'SearchPointGroups',
};

/** Messages that contain names, as seen from their parents. */
const ROLES: Readonly<Record<string, Role>> = {
  LookupLocation: 'lookupFrom',
  WithLookup: 'withLookup',
  PrefetchQuery: 'carrier',
  RecommendPoints: 'carrier',
  DiscoverPoints: 'carrier',
  QueryPoints: 'carrier',
};

const TARGET: Rule = Object.freeze({ kind: 'target' });
const NAME: Rule = Object.freeze({ kind: 'name' });
const LABEL: Rule = Object.freeze({ kind: 'label' });

/** Messages with the name of a vector, and its field. */
const LABELLED: Readonly<Record<string, number>> = {
  ...{ VectorParamsEntry: 1, VectorParamsDiffEntry: 1, SparseVectorParamsEntry: 1 },
  ...{ CreateVectorNameRequest: 3, DeleteVectorNameRequest: 3 },
};

/** Requests without any message in them that have the name of a snapshot, and its field. */
const LABELLED_REQUESTS: Readonly<Record<string, number>> = {
  '/qdrant.Snapshots/Delete': 2,
  '/qdrant.Snapshots/DeleteFull': 1,
};

/** Message types that cannot contain a name at any depth. Index 0 is unused. */
const NAME_FREE_TYPES: readonly string[] = ['', ...nameFreeTypes()];

/** Field numbers per message in `NAME_FREE_FIELDS`. */
export const NAME_FREE_FIELD_COUNT = 128;

/**
 * The fields of name-free messages, at `NAME_FREE_FIELD_COUNT` times the message's index plus the field number: the
 * index of the nested message, or 0 for a field that is skipped by its length.
 */
export const NAME_FREE_FIELDS: Uint8Array = nameFreeFields();

/** All shapes, created before they are filled because types are recursive. */
const shapes = new Map(
  Object.keys(MESSAGES).map((name) => {
    return [name, { rules: [] as (Rule | undefined)[], nameFree: Math.max(0, NAME_FREE_TYPES.indexOf(name)) }];
  }),
);
for (const [name, fields] of Object.entries(MESSAGES)) shapeOf(name).rules.push(...rulesOf(name, fields));

function nameFreeTypes(): string[] {
  const naming = new Set([...Object.keys(ROLES).filter((name) => ROLES[name] !== 'carrier'), ...Object.keys(LABELLED)]);
  let size = 0;
  while (size < naming.size) {
    size = naming.size;
    for (const [name, fields] of Object.entries(MESSAGES)) {
      if (Object.values(fields).some((type) => naming.has(type))) naming.add(name);
    }
  }
  return Object.keys(MESSAGES).filter((name) => !naming.has(name));
}

function nameFreeFields(): Uint8Array {
  const table = new Uint8Array(NAME_FREE_FIELD_COUNT * NAME_FREE_TYPES.length);
  for (const [number, name] of NAME_FREE_TYPES.entries()) {
    const fields: Fields = (MESSAGES as Readonly<Record<string, Fields>>)[name] ?? {};
    for (const [field, type] of Object.entries(fields)) {
      if (Number(field) >= NAME_FREE_FIELD_COUNT) throw new RangeError(`no room for field ${field} of ${name}`);
      table[NAME_FREE_FIELD_COUNT * number + Number(field)] = NAME_FREE_TYPES.indexOf(type);
    }
  }
  return table;
}

function shapeOf(name: string): { readonly rules: (Rule | undefined)[]; readonly nameFree: number } {
  const shape = shapes.get(name);
  if (!shape) throw new TypeError(`no message type ${name}`);
  return shape;
}

/** The rules of a message type. @param shapeFor a type's shape, made before its rules */
export function rulesOf(
  name: string,
  fields: Fields,
  shapeFor: (type: string) => Shape = shapeOf,
): (Rule | undefined)[] {
  const numbers = Object.keys(fields).map(Number);
  const rules: (Rule | undefined)[] = new Array(Math.max(1, ...numbers) + 1).fill(undefined);
  for (const number of numbers) {
    const type = fields[number] ?? '';
    rules[number] = { kind: 'message', role: ROLES[type] ?? 'plain', shape: shapeFor(type) };
  }
  if (ROLES[name] === 'lookupFrom' || ROLES[name] === 'withLookup') rules[1] = NAME;
  const label = LABELLED[name];
  if (label !== undefined) rules[label] = LABEL;
  return rules;
}

const MENTION: Rule = Object.freeze({ kind: 'mention' });
const TWO_NAMES: Shape = { rules: [undefined, MENTION, MENTION], nameFree: 0 };
const ONE_NAME: Shape = { rules: [undefined, MENTION], nameFree: 0 };
const ALIAS_ACTION: Shape = { rules: [undefined, plain(TWO_NAMES), plain(TWO_NAMES), plain(ONE_NAME)], nameFree: 0 };

/** Field of `CreateCollection` with the collection to copy from. Upstream: until Qdrant v1.15.5; later unknown. */
const INIT_FROM = 13;

/** The rules of the messages of whole collections, where their names decide. */
const MANAGED: Readonly<Record<ManagedInspectorName, () => (Rule | undefined)[]>> = {
  'change-aliases': () => [undefined, plain(ALIAS_ACTION)],
  'create-collection': () => {
    const rules = [...shapeOf('CreateCollection').rules];
    while (rules.length <= INIT_FROM) rules.push(undefined);
    rules[INIT_FROM] = MENTION;
    return rules;
  },
};

function plain(shape: Shape): Rule {
  return { kind: 'message', role: 'plain', shape };
}

/** The rows whose names decide under a grant, as they are read then. */
const readRows: ReadonlyMap<GrpcOperation, GrpcOperation> = new Map(
  GRPC_OPERATIONS.filter(({ manages }) => manages).map((row) => {
    const field = row.manages?.field;
    return [row, { ...row, ...(field === undefined ? {} : { collectionField: field }) }];
  }),
);

/** The row by which a message is read for its names. A row of whole collections is read for names under a grant only. */
export function rowForNames(operation: GrpcOperation): GrpcOperation {
  return readRows.get(operation) ?? operation;
}

const requests = new Map<GrpcOperation, Shape>();

/** The shape of an operation's request message: its own name field, and the fields that must be read. */
export function requestShape(operation: GrpcOperation): Shape {
  const known = requests.get(operation);
  if (known) return known;
  const managed = isReadForNames(operation) ? operation.manages?.inspect : undefined;
  const message = messageOf(operation);
  const rules = managed ? MANAGED[managed]() : rulesOfMessage(message);
  const label = LABELLED_REQUESTS[operation.path];
  if (label !== undefined) {
    while (rules.length <= label) rules.push(undefined);
    rules[label] = LABEL;
  }
  if (operation.collectionField !== undefined) rules[operation.collectionField] = TARGET;
  const shape: Shape = { rules, nameFree: 0 };
  requests.set(operation, shape);
  return shape;
}

/** The request message, if it contains another one. */
export function messageOf({ inspect, path }: GrpcOperation): MessageName | undefined {
  return inspect ? INSPECTED[inspect] : REQUESTS[path];
}

/** The index of a type in `NAME_FREE_FIELDS`; 0 = it may contain a name. */
export function nameFreeOf(name: string): number {
  return Math.max(0, NAME_FREE_TYPES.indexOf(name));
}

function rulesOfMessage(message: MessageName | undefined): (Rule | undefined)[] {
  return message === undefined ? [undefined, undefined] : [...shapeOf(message).rules];
}

const rowsForNames = new Set<GrpcOperation>(readRows.values());

function isReadForNames(operation: GrpcOperation): boolean {
  return rowsForNames.has(operation);
}

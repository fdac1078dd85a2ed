import type { GrpcOperation, InspectorName } from '../policy/operation.ts';

/**
 * The part of upstream's protobuf messages that must be looked into: where names stand, and every field on a way to a
 * message that may hold itself. All other fields are skipped by their length. Read from the proto files of Qdrant
 * v1.19.0; no number of these fields ever changed since v1.0.0. Fields only appear, so older releases fit as well.
 */

/** What a field of a message is to the scanner. */
export type Rule =
  /** The main collection name. */
  | { readonly kind: 'target' }
  /** The name in a `LookupLocation` or `WithLookup`. */
  | { readonly kind: 'name' }
  | { readonly kind: 'message'; readonly role: Role; readonly shape: Shape };

/** What the names inside a message are to the message around it; `plain` ones hold none. */
export type Role = 'plain' | 'carrier' | 'lookupFrom' | 'withLookup';

/** A message type; `rules` is indexed by field number. */
export interface Shape {
  readonly rules: readonly (Rule | undefined)[];
  /** Its number in `NAMELESS_FIELDS`; 0 = it is not there, because a name may stand somewhere in it. */
  readonly nameless: number;
}

type Fields = Readonly<Record<number, string>>;

/** One message type per line, in the order they are met: field number to type. An `Entry` is that of a map. */
const MESSAGES = {
  UpsertPoints: { 3: 'PointStruct', 6: 'Filter' },
  PointStruct: { 3: 'ValueEntry', 4: 'Vectors' },
  Value: { 6: 'Struct', 7: 'ListValue' },
  Struct: { 1: 'ValueEntry' },
  ListValue: { 1: 'Value' },
  Vectors: { 1: 'Vector', 2: 'NamedVectors' },
  Vector: { 104: 'Document', 105: 'Image', 106: 'InferenceObject' },
  Document: { 4: 'ValueEntry' },
  Image: { 1: 'Value', 3: 'ValueEntry' },
  InferenceObject: { 1: 'Value', 3: 'ValueEntry' },
  NamedVectors: { 1: 'VectorEntry' },
  Filter: { 1: 'Condition', 2: 'Condition', 3: 'Condition', 4: 'MinShould' },
  Condition: { 4: 'Filter', 6: 'NestedCondition' },
  NestedCondition: { 2: 'Filter' },
  MinShould: { 1: 'Condition' },
  DeletePoints: { 3: 'PointsSelector' },
  PointsSelector: { 2: 'Filter' },
  UpdatePointVectors: { 3: 'PointVectors', 6: 'Filter' },
  PointVectors: { 2: 'Vectors' },
  DeletePointVectors: { 3: 'PointsSelector' },
  SetPayloadPoints: { 3: 'ValueEntry', 5: 'PointsSelector' },
  DeletePayloadPoints: { 5: 'PointsSelector' },
  ClearPayloadPoints: { 3: 'PointsSelector' },
  SearchPoints: { 3: 'Filter', 7: 'SearchParams' },
  SearchParams: { 6: 'IdfParams' },
  IdfParams: { 1: 'Filter' },
  SearchBatchPoints: { 2: 'SearchPoints' },
  SearchPointGroups: { 3: 'Filter', 6: 'SearchParams', 13: 'WithLookup' },
  ScrollPoints: { 2: 'Filter' },
  RecommendPoints: { 4: 'Filter', 8: 'SearchParams', 13: 'LookupLocation', 17: 'Vector', 18: 'Vector' },
  RecommendBatchPoints: { 2: 'RecommendPoints' },
  RecommendPointGroups: {
    4: 'Filter',
    7: 'SearchParams',
    11: 'LookupLocation',
    15: 'WithLookup',
    18: 'Vector',
    19: 'Vector',
  },
  DiscoverPoints: { 2: 'TargetVector', 3: 'ContextExamplePair', 4: 'Filter', 7: 'SearchParams', 11: 'LookupLocation' },
  TargetVector: { 1: 'VectorExample' },
  VectorExample: { 2: 'Vector' },
  ContextExamplePair: { 1: 'VectorExample', 2: 'VectorExample' },
  DiscoverBatchPoints: { 2: 'DiscoverPoints' },
  CountPoints: { 2: 'Filter' },
  UpdateBatchPoints: { 3: 'PointsUpdateOperation' },
  PointsUpdateOperation: {
    1: 'BatchPointStructList',
    2: 'PointsSelector',
    3: 'BatchSetPayload',
    4: 'BatchOverwritePayload',
    5: 'BatchDeletePayload',
    6: 'PointsSelector',
    7: 'BatchUpdateVectors',
    8: 'BatchDeleteVectors',
    9: 'BatchDeletePoints',
    10: 'BatchClearPayload',
  },
  BatchPointStructList: { 1: 'PointStruct', 3: 'Filter' },
  BatchSetPayload: { 1: 'ValueEntry', 2: 'PointsSelector' },
  BatchOverwritePayload: { 1: 'ValueEntry', 2: 'PointsSelector' },
  BatchDeletePayload: { 2: 'PointsSelector' },
  BatchUpdateVectors: { 1: 'PointVectors', 3: 'Filter' },
  BatchDeleteVectors: { 1: 'PointsSelector' },
  BatchDeletePoints: { 1: 'PointsSelector' },
  BatchClearPayload: { 1: 'PointsSelector' },
  QueryPoints: { 2: 'PrefetchQuery', 3: 'Query', 5: 'Filter', 6: 'SearchParams', 14: 'LookupLocation' },
  PrefetchQuery: { 1: 'PrefetchQuery', 2: 'Query', 4: 'Filter', 5: 'SearchParams', 8: 'LookupLocation' },
  Query: {
    1: 'VectorInput',
    2: 'RecommendInput',
    3: 'DiscoverInput',
    4: 'ContextInput',
    8: 'Formula',
    9: 'NearestInputWithMmr',
    11: 'RelevanceFeedbackInput',
  },
  VectorInput: { 5: 'Document', 6: 'Image', 7: 'InferenceObject' },
  RecommendInput: { 1: 'VectorInput', 2: 'VectorInput' },
  DiscoverInput: { 1: 'VectorInput', 2: 'ContextInput' },
  ContextInput: { 1: 'ContextInputPair' },
  ContextInputPair: { 1: 'VectorInput', 2: 'VectorInput' },
  Formula: { 1: 'Expression', 2: 'ValueEntry' },
  Expression: {
    3: 'Condition',
    7: 'MultExpression',
    8: 'SumExpression',
    9: 'DivExpression',
    10: 'Expression',
    11: 'Expression',
    12: 'Expression',
    13: 'PowExpression',
    14: 'Expression',
    15: 'Expression',
    16: 'Expression',
    17: 'DecayParamsExpression',
    18: 'DecayParamsExpression',
    19: 'DecayParamsExpression',
  },
  MultExpression: { 1: 'Expression' },
  SumExpression: { 1: 'Expression' },
  DivExpression: { 1: 'Expression', 2: 'Expression' },
  PowExpression: { 1: 'Expression', 2: 'Expression' },
  DecayParamsExpression: { 1: 'Expression', 2: 'Expression' },
  NearestInputWithMmr: { 1: 'VectorInput' },
  RelevanceFeedbackInput: { 1: 'VectorInput', 2: 'FeedbackItem' },
  FeedbackItem: { 1: 'VectorInput' },
  QueryBatchPoints: { 2: 'QueryPoints' },
  QueryPointGroups: {
    2: 'PrefetchQuery',
    3: 'Query',
    5: 'Filter',
    6: 'SearchParams',
    10: 'LookupLocation',
    15: 'WithLookup',
  },
  FacetCounts: { 3: 'Filter' },
  SearchMatrixPoints: { 2: 'Filter' },
  CreateCollection: { 18: 'ValueEntry' },
  UpdateCollection: { 10: 'ValueEntry' },
  UpdateCollectionClusterSetupRequest: { 10: 'ReplicatePoints' },
  ReplicatePoints: { 3: 'Filter' },
  ValueEntry: { 2: 'Value' },
  VectorEntry: { 2: 'Vector' },
  LookupLocation: {},
  WithLookup: {},
} as const satisfies Record<string, Fields>;

type MessageName = keyof typeof MESSAGES;

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

/** The other request messages that can nest without end, by full method. */
const NESTING: Readonly<Record<string, MessageName>> = {
  '/qdrant.Collections/Create': 'CreateCollection',
  '/qdrant.Collections/Update': 'UpdateCollection',
  '/qdrant.Collections/UpdateCollectionClusterSetup': 'UpdateCollectionClusterSetupRequest',
  '/qdrant.Points/Upsert': 'UpsertPoints',
  '/qdrant.Points/Delete': 'DeletePoints',
  '/qdrant.Points/UpdateVectors': 'UpdatePointVectors',
  '/qdrant.Points/DeleteVectors': 'DeletePointVectors',
  '/qdrant.Points/SetPayload': 'SetPayloadPoints',
  '/qdrant.Points/OverwritePayload': 'SetPayloadPoints',
  '/qdrant.Points/DeletePayload': 'DeletePayloadPoints',
  '/qdrant.Points/ClearPayload': 'ClearPayloadPoints',
  '/qdrant.Points/UpdateBatch': 'UpdateBatchPoints',
  '/qdrant.Points/Scroll': 'ScrollPoints',
  '/qdrant.Points/Count': 'CountPoints',
  '/qdrant.Points/Facet': 'FacetCounts',
  '/qdrant.Points/Search': 'SearchPoints',
  '/qdrant.Points/SearchBatch': 'SearchBatchPoints',
  '/qdrant.Points/SearchMatrixPairs': 'SearchMatrixPoints',
  '/qdrant.Points/SearchMatrixOffsets': 'SearchMatrixPoints',
};

/** Messages with names inside, seen from the message around them. */
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

/** Message types in which no name can stand, however deep. The first is none. */
const NAMELESS: readonly string[] = ['', ...namelessTypes()];

/** Field numbers that `NAMELESS_FIELDS` has room for. */
export const NAMELESS_ROOM = 128;

/**
 * The fields of messages in which no name stands, at `NAMELESS_ROOM` times the message's number plus the field's: the
 * number of the message it holds, or 0 for what is skipped by its length.
 */
export const NAMELESS_FIELDS: Uint8Array = namelessFields();

/** All shapes there are, made before they are filled, because types hold each other. */
const shapes = new Map(
  Object.keys(MESSAGES).map((name) => {
    return [name, { rules: [] as (Rule | undefined)[], nameless: Math.max(0, NAMELESS.indexOf(name)) }];
  }),
);
for (const [name, fields] of Object.entries(MESSAGES)) shapeOf(name).rules.push(...rulesOf(name, fields));

function namelessTypes(): string[] {
  const naming = new Set(Object.keys(ROLES).filter((name) => ROLES[name] !== 'carrier'));
  let size = 0;
  while (size < naming.size) {
    size = naming.size;
    for (const [name, fields] of Object.entries(MESSAGES)) {
      if (Object.values(fields).some((type) => naming.has(type))) naming.add(name);
    }
  }
  return Object.keys(MESSAGES).filter((name) => !naming.has(name));
}

function namelessFields(): Uint8Array {
  const table = new Uint8Array(NAMELESS_ROOM * NAMELESS.length);
  for (const [number, name] of NAMELESS.entries()) {
    const fields: Fields = (MESSAGES as Readonly<Record<string, Fields>>)[name] ?? {};
    for (const [field, type] of Object.entries(fields)) {
      if (Number(field) >= NAMELESS_ROOM) throw new RangeError(`no room for field ${field} of ${name}`);
      table[NAMELESS_ROOM * number + Number(field)] = NAMELESS.indexOf(type);
    }
  }
  return table;
}

function shapeOf(name: string): { readonly rules: (Rule | undefined)[]; readonly nameless: number } {
  const shape = shapes.get(name);
  if (!shape) throw new TypeError(`no message type ${name}`);
  return shape;
}

function rulesOf(name: string, fields: Fields): (Rule | undefined)[] {
  const numbers = Object.keys(fields).map(Number);
  const rules: (Rule | undefined)[] = new Array(Math.max(1, ...numbers) + 1).fill(undefined);
  for (const number of numbers) {
    const type = fields[number] ?? '';
    rules[number] = { kind: 'message', role: ROLES[type] ?? 'plain', shape: shapeOf(type) };
  }
  if (ROLES[name] === 'lookupFrom' || ROLES[name] === 'withLookup') rules[1] = NAME;
  return rules;
}

const requests = new Map<GrpcOperation, Shape>();

/** The shape of an operation's request message: its own name field and all that must be looked into. */
export function requestShape(operation: GrpcOperation): Shape {
  const known = requests.get(operation);
  if (known) return known;
  const message = operation.inspect ? INSPECTED[operation.inspect] : NESTING[operation.path];
  const rules = message === undefined ? [undefined, undefined] : [...shapeOf(message).rules];
  if (operation.collectionField !== undefined) rules[operation.collectionField] = TARGET;
  const shape: Shape = { rules, nameless: 0 };
  requests.set(operation, shape);
  return shape;
}

/** The table, for a comparison with the official client. */
export const MESSAGE_FIELDS: Readonly<Record<string, Fields>> = MESSAGES;

import type { GrpcOperation } from '../../policy/operation.ts';
import type { Counter, PartKind, Slot } from '../../policy/search/facts.ts';
import { messageOf, nameFreeOf, type Rule, requestShape, rulesOf, type Shape } from './inspect-shapes.ts';
import type { Tells } from './message-facts.ts';
import { type Fields, MESSAGES, type MessageName } from './request-messages.ts';

/*
 * The request messages with their numbers: the shapes that names are read by, and rules for numbers on top. Field numbers are
 * those of Qdrant v1.20.0; they did not change since v1.0.0.
 */

/** The part that a request is; a message that is not listed is `points`. */
const PARTS: Readonly<Partial<Record<MessageName, PartKind>>> = {
  ...{ SearchPoints: 'search', RecommendPoints: 'search', DiscoverPoints: 'search' },
  ...{ SearchPointGroups: 'groups', RecommendPointGroups: 'groups' },
  ...{ QueryPoints: 'query', QueryPointGroups: 'query-groups' },
  ...{ ScrollPoints: 'scroll', CountPoints: 'count', FacetCounts: 'facet', SearchMatrixPoints: 'matrix' },
};

const number = (slot: Slot): Rule => ({ kind: 'number', slot });
const EXACT: Rule = { kind: 'exact' };
const limited = (limit: number, offset: number) => ({ [limit]: number('limit'), [offset]: number('offset') });
const grouped = (limit: number, size: number) => ({ [limit]: number('limit'), [size]: number('groupSize') });

type Numbers = Readonly<Record<number, Rule>>;

/** Numbers by message and field. */
export const NUMBERS: Readonly<Partial<Record<MessageName, Numbers>>> = {
  SearchPoints: limited(4, 9),
  RecommendPoints: limited(5, 10),
  DiscoverPoints: limited(5, 8),
  QueryPoints: limited(8, 9),
  PrefetchQuery: { 7: number('limit') },
  SearchPointGroups: grouped(4, 11),
  RecommendPointGroups: grouped(5, 13),
  QueryPointGroups: grouped(11, 12),
  ScrollPoints: { 4: number('limit') },
  CountPoints: { 3: EXACT },
  FacetCounts: { 4: number('limit'), 5: EXACT },
  SearchMatrixPoints: { 3: number('sample'), 4: number('limit') },
  SearchParams: { 1: number('ef'), 2: EXACT },
  QuantizationSearchParams: { 3: { kind: 'double', slot: 'oversampling' } },
  Mmr: { 3: number('candidates') },
};

const opens = (part: PartKind): Tells => ({ kind: 'opens', part });
const counts = (counter: Counter): Tells => ({ kind: 'counts', counter });
const POINT = counts('points');
const EXAMPLE = counts('examples');
const QUERY: Tells = { kind: 'query' };
const FILTER: Tells = { kind: 'filter', selects: false };
const CONDITION: Tells = { kind: 'condition' };

const TELLS: Readonly<Partial<Record<MessageName, Readonly<Record<number, Tells>>>>> = {
  SearchBatchPoints: { 2: opens('search') },
  RecommendBatchPoints: { 2: opens('search') },
  DiscoverBatchPoints: { 2: opens('search') },
  QueryBatchPoints: { 2: opens('query') },
  QueryPoints: { 2: opens('query'), 3: QUERY },
  QueryPointGroups: { 2: opens('query'), 3: QUERY },
  PrefetchQuery: { 1: opens('query'), 2: QUERY },
  UpdateBatchPoints: { 3: opens('points') },
  GetPoints: { 2: POINT },
  UpsertPoints: { 3: POINT },
  UpdatePointVectors: { 3: POINT },
  BatchPointStructList: { 1: POINT },
  BatchUpdateVectors: { 1: POINT },
  PointsIdsList: { 1: POINT },
  PointsSelector: { 2: { kind: 'filter', selects: true } },
  RecommendPoints: { 2: EXAMPLE, 3: EXAMPLE, 17: EXAMPLE, 18: EXAMPLE },
  RecommendPointGroups: { 2: EXAMPLE, 3: EXAMPLE, 18: EXAMPLE, 19: EXAMPLE },
  DiscoverPoints: { 2: EXAMPLE, 3: EXAMPLE },
  RecommendInput: { 1: EXAMPLE, 2: EXAMPLE },
  DiscoverInput: { 1: EXAMPLE },
  ContextInput: { 1: EXAMPLE },
  RelevanceFeedbackInput: { 1: EXAMPLE, 2: EXAMPLE },
};

/** Types of fields that tell something wherever they stand. */
const ALWAYS: Readonly<Record<string, Tells>> = { Filter: FILTER, Condition: CONDITION };

const FIELDS: Readonly<Record<string, Fields>> = MESSAGES;
const numbersOf = (name: string): Numbers => (NUMBERS as Readonly<Record<string, Numbers>>)[name] ?? {};
const tellsOf = (name: string): Readonly<Record<number, Tells>> =>
  (TELLS as Readonly<Record<string, Readonly<Record<number, Tells>>>>)[name] ?? {};

/** Types with a number at any depth: they are always read. */
const TELLING: ReadonlySet<string> = tellingTypes();

function tellingTypes(): Set<string> {
  const telling = new Set<string>([...Object.keys(NUMBERS), ...Object.keys(TELLS), ...Object.keys(ALWAYS)]);
  for (let size = 0; size < telling.size; ) {
    size = telling.size;
    for (const [name, fields] of Object.entries(FIELDS)) {
      if (Object.values(fields).some((type) => telling.has(type))) telling.add(name);
    }
  }
  return telling;
}

interface Filling extends Shape {
  readonly rules: (Rule | undefined)[];
}

/** All shapes, created before they are filled because types are recursive. */
const shapes = new Map<string, Filling>(
  Object.keys(FIELDS).map((name) => [name, { rules: [], nameFree: TELLING.has(name) ? 0 : nameFreeOf(name) }]),
);
for (const [name, fields] of Object.entries(FIELDS)) {
  shapeOf(name).rules.push(...withNumbers(name, rulesOf(name, fields, shapeOf)));
}

function shapeOf(name: string): Filling {
  const shape = shapes.get(name);
  if (!shape) throw new TypeError(`no message type ${name}`);
  return shape;
}

function withNumbers(name: string, rules: readonly (Rule | undefined)[]): (Rule | undefined)[] {
  const told = tellsOf(name);
  const all = rules.map((rule, field): Rule | undefined => {
    const tells = told[field] ?? ALWAYS[FIELDS[name]?.[field] ?? ''];
    return rule?.kind === 'message' && tells ? { ...rule, tells } : rule;
  });
  for (const [field, rule] of Object.entries(numbersOf(name))) {
    while (all.length <= Number(field)) all.push(undefined);
    all[Number(field)] = rule;
  }
  return all;
}

const requests = new Map<GrpcOperation, Shape>();

/** The shape by which a request is read for its names and numbers. `undefined` = it has no numbers. */
export function factShape(operation: GrpcOperation): Shape | undefined {
  const known = requests.get(operation);
  if (known) return known;
  const message = messageOf(operation);
  if (message === undefined || operation.collectionField === undefined) return undefined;
  const rules = [...shapeOf(message).rules];
  // The name of the collection is read as ever.
  rules[operation.collectionField] = requestShape(operation).rules[operation.collectionField];
  const shape: Shape = { rules, nameFree: 0, part: PARTS[message] ?? 'points' };
  requests.set(operation, shape);
  return shape;
}

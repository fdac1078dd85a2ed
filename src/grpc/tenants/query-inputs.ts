import type { IdMessage } from './filters.ts';
import { badForm } from './ids.ts';

/** A vector, or what one is made from. */
export interface VectorInput {
  readonly variant: { readonly case: string | undefined; readonly value?: unknown };
}

interface Pair {
  readonly positive?: VectorInput;
  readonly negative?: VectorInput;
}

/** `Query`, as far as it names points. */
export interface Query {
  readonly variant: { readonly case: string | undefined; readonly value?: unknown };
}

/** The inputs of one query, in the order in which upstream resolves them. */
export interface Inputs {
  readonly ids: readonly IdMessage[];
  /** True = a sparse vector, or what upstream may make one from. */
  readonly maybeSparse: boolean;
  /** True = scores by the terms of a text index. */
  readonly text: boolean;
}

const NONE: Inputs = Object.freeze({ ids: Object.freeze([]), maybeSparse: false, text: false });

/** Variants without an input. */
const WITHOUT: ReadonlySet<string> = new Set(['orderBy', 'fusion', 'sample', 'formula', 'rrf']);

/** The inputs of a query; `undefined` = there is none. */
export function inputsOf(query: Query | undefined): Inputs {
  if (!query) return NONE;
  const { variant } = query;
  if (variant.case === undefined) throw badForm('query', 'has no variant');
  if (WITHOUT.has(variant.case)) return NONE;
  if (variant.case === 'text') return { ...NONE, text: true };
  return inputsFrom(vectorsOf(variant.case, variant.value));
}

/** Of these inputs. */
export function inputsFrom(inputs: readonly (VectorInput | undefined)[]): Inputs {
  const ids: IdMessage[] = [];
  let maybeSparse = false;
  for (const input of inputs) {
    const kind = input?.variant.case;
    if (kind === undefined) throw badForm('query', 'has an input without a variant');
    if (kind === 'id') ids.push(input?.variant.value as IdMessage);
    // A point, a document or an object becomes whatever vector the query uses.
    maybeSparse ||= kind !== 'dense' && kind !== 'multiDense';
  }
  return { ids, maybeSparse, text: false };
}

type Inner = Readonly<Record<string, unknown>>;

function vectorsOf(variant: string, value: unknown): readonly (VectorInput | undefined)[] {
  const inner = value as Inner;
  if (variant === 'nearest') return [value as VectorInput];
  if (variant === 'nearestWithMmr') return [inner.nearest as VectorInput];
  if (variant === 'recommend') return [...(inner.positive as VectorInput[]), ...(inner.negative as VectorInput[])];
  if (variant === 'context') return pairs(inner);
  if (variant === 'discover') return [inner.target as VectorInput, ...pairs(inner.context as Inner | undefined)];
  if (variant === 'relevanceFeedback') {
    const feedback = inner.feedback as readonly { readonly example?: VectorInput }[];
    return [inner.target as VectorInput, ...feedback.map(({ example }) => example)];
  }
  throw badForm('query', 'has a variant that is not known');
}

function pairs(context: Inner | undefined): readonly (VectorInput | undefined)[] {
  const all = (context?.pairs ?? []) as readonly Pair[];
  return all.flatMap(({ positive, negative }) => [positive, negative]);
}

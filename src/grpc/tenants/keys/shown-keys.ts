import { decode } from '../messages/codec.ts';
import type { Query } from '../query-inputs.ts';

/** An expression, as far as it reads payload fields. */
interface Expression {
  readonly variant: { readonly case: string | undefined; readonly value?: unknown };
}

type Inner = Readonly<Record<string, unknown>>;

/** The paths of payload fields whose values a query shows: as order value, or in a score. */
export function shownBy({ variant }: Query): string[] {
  if (variant.case === 'orderBy') return [(variant.value as { readonly key: string }).key];
  if (variant.case !== 'formula') return [];
  const { expression } = decode<{ readonly expression?: Expression }>('Formula', variant.value as Uint8Array);
  return keysOf(expression);
}

/** The encoded conditions of a query's formula, each of which becomes a number in a score. */
export function conditionsIn({ variant }: Query): readonly Uint8Array[] {
  if (variant.case !== 'formula') return [];
  const { expression } = decode<{ readonly expression?: Expression }>('Formula', variant.value as Uint8Array);
  return conditionsOf(expression);
}

function conditionsOf(expression: Expression | undefined): readonly Uint8Array[] {
  const kind = expression?.variant.case;
  const value = expression?.variant.value;
  if (value instanceof Uint8Array) return [value];
  if (kind === undefined || typeof value !== 'object' || value === null) return [];
  return expressionsIn(kind, value as Inner).flatMap(conditionsOf);
}

function keysOf(expression: Expression | undefined): string[] {
  const kind = expression?.variant.case;
  const value = expression?.variant.value;
  if (kind === undefined || typeof value === 'number' || value instanceof Uint8Array) return [];
  if (typeof value === 'string') return kind === 'variable' || kind === 'datetimeKey' ? [value] : [];
  const inner = value as Inner;
  const own = kind === 'geoDistance' ? [String(inner.to)] : [];
  return [...own, ...expressionsIn(kind, inner).flatMap(keysOf)];
}

/** The expressions inside one: a single one, or those of its fields. */
function expressionsIn(kind: string, inner: Inner): readonly Expression[] {
  if ('variant' in inner) return [inner as unknown as Expression];
  if (kind === 'geoDistance') return [];
  return Object.values(inner).flatMap((field) => {
    if (Array.isArray(field)) return field as readonly Expression[];
    return typeof field === 'object' && field !== null && 'variant' in field ? [field as Expression] : [];
  });
}

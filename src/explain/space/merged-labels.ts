import { tokenLabel } from './labels.ts';
import type { PrincipalClass } from './principal-class.ts';

/** Callers of one family, some of whose traits may be any. */
interface Tokens {
  readonly family: string;
  /** `undefined` = any. */
  readonly traits: readonly (string | undefined)[];
}

/**
 * Labels of callers, as few as say the same: tokens that differ in one trait, of which every value is among them, are one.
 *
 * @param all every class that was asked
 */
export function mergedLabels(own: readonly PrincipalClass[], all: readonly PrincipalClass[]): readonly string[] {
  let tokens: readonly Tokens[] = tokensOf(own);
  const universe = tokensOf(all);
  const count = Math.max(0, ...universe.map(({ traits }) => traits.length));
  for (let at = count - 1; at >= 0; at -= 1) tokens = mergedBy(tokens, universe, at);
  const others = own.filter(({ traits }) => traits === undefined).map(({ label }) => label);
  return [...others, ...tokens.map(({ family, traits }) => tokenLabel(family, traits))];
}

function tokensOf(classes: readonly PrincipalClass[]): readonly Tokens[] {
  return classes.flatMap(({ family, traits }) => (family !== undefined && traits ? [{ family, traits }] : []));
}

function mergedBy(tokens: readonly Tokens[], universe: readonly Tokens[], at: number): readonly Tokens[] {
  const alike = Map.groupBy(tokens, ({ family, traits }) =>
    JSON.stringify([family, traits.map((one, i) => (i === at ? 0 : (one ?? null)))]),
  );
  return [...alike.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const values = new Set(universe.filter(({ family }) => family === first.family).map(({ traits }) => traits[at]));
    const own = new Set(group.map(({ traits }) => traits[at]));
    if (own.size < values.size) return group;
    return [{ family: first.family, traits: first.traits.map((one, i) => (i === at ? undefined : one)) }];
  });
}

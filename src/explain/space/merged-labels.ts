import { type PrincipalClass, tokenLabel } from './principals.ts';

/** Tokens of one key, some of whose traits may be any. */
interface Tokens {
  readonly key: string;
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
  const count = universe[0]?.traits.length ?? 0;
  for (let at = count - 1; at >= 0; at -= 1) tokens = mergedBy(tokens, universe, at);
  const others = own.filter(({ kind }) => kind !== 'token').map(({ label }) => label);
  return [...others, ...tokens.map(({ key, traits }) => tokenLabel(key, traits))];
}

function tokensOf(classes: readonly PrincipalClass[]): readonly Tokens[] {
  return classes.flatMap(({ key, traits }) => (traits ? [{ key, traits }] : []));
}

function mergedBy(tokens: readonly Tokens[], universe: readonly Tokens[], at: number): readonly Tokens[] {
  const alike = Map.groupBy(tokens, ({ key, traits }) =>
    JSON.stringify([key, traits.map((one, i) => (i === at ? 0 : (one ?? null)))]),
  );
  return [...alike.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const values = new Set(universe.filter(({ key }) => key === first.key).map(({ traits }) => traits[at]));
    const own = new Set(group.map(({ traits }) => traits[at]));
    if (own.size < values.size) return group;
    return [{ key: first.key, traits: first.traits.map((one, i) => (i === at ? undefined : one)) }];
  });
}

import { type Claims, type ClaimValue, claimPath } from '../../policy/mapping/claims.ts';
import type { MappingSettings } from '../../policy/mapping/mapper.ts';
import type { TemplateClaim } from '../../policy/mapping/name-template.ts';
import { tenantNamed } from '../space/tenant-forms.ts';
import { type ClaimName, claimsIn, claimTree, fillTemplateOrNone, namesOf, valuesMaking } from './templates.ts';

/** The claims of a holder of some mappings, as far as names and tenants depend on them. */
export interface WantedClaims {
  readonly mappings: readonly MappingSettings[];
  /** Collections that the claims name, as far as they can. */
  readonly named: readonly string[];
  /** Collections that other claims must not name by chance. */
  readonly avoided: readonly string[];
  /** Paths of further claims, each with a tenant. */
  readonly tenants: readonly (readonly string[])[];
}

/** Such claims. Where one value cannot name all collections, it names the first. */
export function claimsOfHolder({ mappings, named, avoided, tenants }: WantedClaims): Claims {
  const { claimed } = namesOf(mappings);
  const values = new Map<string, string[]>();
  for (const name of named) {
    for (const template of claimed) addValues(values, template, name);
  }
  const paths = [...mappings.flatMap(tenantPath), ...tenants];
  const inNames = [...claimsIn(claimed).values()].map((claim): readonly [readonly string[], ClaimValue] => {
    const own = values.get(claim.text) ?? [];
    const elsewhere = (): string => valueElsewhere(claim, claimed, [...named, ...avoided]);
    if (!claim.each) return [claim.path, own[0] ?? elsewhere()];
    // A list may be empty, but for one that names the tenants, too.
    const isTenant = paths.some((path) => path.join('\0') === claim.path.join('\0'));
    return [claim.path, own.length > 0 || !isTenant ? own : [elsewhere()]];
  });
  return claimTree([...inNames, ...paths.map((path) => [path, tenantNamed(path.join('.'))] as const)]);
}

function tenantPath({ tenant_from: text }: MappingSettings): readonly (readonly string[])[] {
  const path = text === undefined ? undefined : claimPath(text);
  return path ? [path] : [];
}

/** Adds the values that make a name, unless a claim that is one text has another value already. */
function addValues(values: Map<string, string[]>, template: ClaimName, name: string): void {
  const found = valuesMaking(template, name);
  if (!found) return;
  const all = [...found.values()];
  const fits = all.every(({ claim, value }) => claim.each || [value, undefined].includes(values.get(claim.text)?.[0]));
  if (!fits) return;
  for (const { claim, value } of all) values.set(claim.text, [...new Set([...(values.get(claim.text) ?? []), value])]);
}

/** A value that names none of these collections. */
function valueElsewhere(claim: TemplateClaim, names: readonly ClaimName[], avoided: readonly string[]): string {
  const untils = [...claimsOfText(names, claim.text)].map(({ until }) => until).filter((until) => until !== '');
  const fits = (value: string): boolean =>
    untils.every((until) => (value + until).indexOf(until) === value.length) &&
    !avoided.some((name) => name.includes(value));
  return freshTexts('elsewhere').find(fits) ?? 'elsewhere';
}

function claimsOfText(names: readonly ClaimName[], text: string): readonly TemplateClaim[] {
  return names.flatMap(({ template }) =>
    template.parts.flatMap((part) => (typeof part !== 'string' && part.text === text ? [part] : [])),
  );
}

const LETTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789'];

/** Texts to choose from, the plainest first. */
export function freshTexts(word: string): readonly string[] {
  const doubled = LETTERS.flatMap((one) => LETTERS.map((other) => `${one}${other}${one}`));
  return [word, ...LETTERS.map((letter) => `${letter}${word}`), ...doubled];
}

/**
 * A name for each that claims make, as if the claims had values that nothing mentions.
 *
 * @param mentioned names and patterns of the policies
 */
export function namesMade(names: readonly ClaimName[], mentioned: readonly string[]): ReadonlyMap<string, string> {
  const made = new Map<string, string>();
  for (const { text, template } of names) {
    if ([...made.values()].includes(text)) continue;
    const [first] = template.parts;
    const given = typeof first === 'string' ? first : '';
    const isFresh = (name: string): boolean => !made.has(name) && !mentioned.some((one) => isCloser(one, name, given));
    const name = freshTexts('value')
      .flatMap((value) => filledWith(template, value))
      .find(isFresh);
    if (name !== undefined) made.set(name, text);
  }
  return made;
}

/** True = what is mentioned covers the name for its claims, and not for the text in front of them. */
function isCloser(mentioned: string, name: string, given: string): boolean {
  const bare = mentioned.endsWith('*') ? mentioned.slice(0, -1) : mentioned;
  if (mentioned.endsWith('*')) return name.startsWith(bare) && !given.startsWith(bare);
  return name === mentioned;
}

function filledWith(template: ClaimName['template'], value: string): readonly string[] {
  const claims = claimsIn([{ text: '', template }]);
  const texts = [...claims.values()].map(
    ({ path, each }) => [path, each ? [value] : value] as readonly [readonly string[], ClaimValue],
  );
  return fillTemplateOrNone(template, claimTree(texts));
}

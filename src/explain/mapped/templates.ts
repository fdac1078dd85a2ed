import type { Claims, ClaimValue } from '../../policy/mapping/claims.ts';
import type { MappingSettings } from '../../policy/mapping/mapper.ts';
import {
  fillTemplate,
  type NameTemplate,
  readTemplate,
  type TemplateClaim,
} from '../../policy/mapping/name-template.ts';
import type { AccessSettings } from '../../policy/settings.ts';

/** A name with claims inside, as it stands in the file and taken apart. */
export interface ClaimName {
  readonly text: string;
  readonly template: NameTemplate;
}

/** The value that each claim of a name must have, by the text of the claim. */
export type ClaimTexts = ReadonlyMap<string, { readonly claim: TemplateClaim; readonly value: string }>;

/** The names in the accesses of mappings: those that stand there, and those that claims make. */
export function namesOf(mappings: readonly Pick<MappingSettings, 'access'>[]): {
  readonly literal: readonly string[];
  readonly claimed: readonly ClaimName[];
} {
  const read = mappings.flatMap(({ access }) => textsIn(access)).map((text) => ({ text, template: templateOf(text) }));
  return {
    literal: read.flatMap(({ template }) => (hasClaims(template) ? [] : fillTemplateOrNone(template, NO_CLAIMS))),
    claimed: read.filter(({ template }) => hasClaims(template)),
  };
}

/** The claims in names, each once, by their texts. */
export function claimsIn(names: readonly ClaimName[]): ReadonlyMap<string, TemplateClaim> {
  return new Map(
    names.flatMap(({ template }) => partsWithClaims(template).map((claim) => [claim.text, claim] as const)),
  );
}

/** The values of claims that make this name, or a prefix of it; `undefined` = none do. */
export function valuesMaking({ template }: ClaimName, name: string): ClaimTexts | undefined {
  const found = new Map<string, { claim: TemplateClaim; value: string }>();
  let at = 0;
  for (const [index, part] of template.parts.entries()) {
    if (typeof part === 'string') {
      if (!name.startsWith(part, at)) return undefined;
      at += part.length;
      continue;
    }
    const end = part.until === '' ? name.length - lengthAfter(template, index) : name.indexOf(part.until, at);
    const value = end > at ? name.slice(at, end) : '';
    if (value === '' || (found.get(part.text)?.value ?? value) !== value) return undefined;
    found.set(part.text, { claim: part, value });
    at = end;
  }
  if (at < name.length && !template.isPrefix) return undefined;
  const claims = claimTree([...found.values()].map(({ claim, value }) => [claim.path, claim.each ? [value] : value]));
  return fillTemplateOrNone(template, claims).length > 0 ? found : undefined;
}

/** The names that these claims make; none where one is missing or unfit. */
export function fillTemplateOrNone(template: NameTemplate, claims: Claims): readonly string[] {
  const filled = fillTemplate(template, claims);
  return 'fault' in filled ? [] : filled;
}

/** Claims with these values at these paths. A path through a value that is no object is left out. */
export function claimTree(values: readonly (readonly [path: readonly string[], value: ClaimValue])[]): Claims {
  const claims = new Map<string, ClaimValue>();
  for (const [path, value] of values) {
    let above: Map<string, ClaimValue> | undefined = claims;
    for (const key of path.slice(0, -1)) above = above && below(above, key);
    const last = path.at(-1);
    if (above && last !== undefined && !above.has(last)) above.set(last, value);
  }
  return claims;
}

function below(above: Map<string, ClaimValue>, key: string): Map<string, ClaimValue> | undefined {
  const value = above.get(key) ?? new Map<string, ClaimValue>();
  above.set(key, value);
  return value instanceof Map ? value : undefined;
}

const NO_CLAIMS: Claims = new Map();

function textsIn(access: AccessSettings): readonly string[] {
  if (typeof access === 'string') return [];
  return access.flatMap(({ collection, collections = [] }) => [
    ...(collection === undefined ? [] : [collection]),
    ...collections,
  ]);
}

function templateOf(text: string): NameTemplate {
  const template = readTemplate(text);
  if (typeof template === 'string') throw new RangeError(template);
  return template;
}

function hasClaims({ parts }: NameTemplate): boolean {
  return parts.some((part) => typeof part !== 'string');
}

function partsWithClaims({ parts }: NameTemplate): readonly TemplateClaim[] {
  return parts.filter((part) => typeof part !== 'string');
}

function lengthAfter({ parts }: NameTemplate, index: number): number {
  return parts.slice(index + 1).reduce((sum, part) => sum + (typeof part === 'string' ? part.length : 0), 0);
}

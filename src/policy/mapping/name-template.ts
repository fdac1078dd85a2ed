import { type ClaimPath, type Claims, claimAt, claimPath } from './claims.ts';

/*
 * Names of collections with claims inside: `${team}_docs`, `${"https://example.com/tenant"}-*`. `$${` stands for the characters `${`.
 *
 * INVARIANT: a claim fills a place of the name and nothing else: it never makes a pattern, a path or a second place.
 */

/** Literal text, or the place of a claim. */
export type TemplatePart = string | TemplateClaim;

/** The place of a claim. */
export interface TemplateClaim {
  readonly path: ClaimPath;
  /** The path as it stands in the file, for texts. */
  readonly text: string;
  /** True = the claim is a list of texts, each of which makes a name (`${groups[]}`); false = it is one text. */
  readonly each: boolean;
  /** Literal text behind it, which must not begin inside the value; empty = the value ends the name. */
  readonly until: string;
}

/** A name, taken apart. */
export interface NameTemplate {
  readonly parts: readonly TemplatePart[];
  /** True = the name ends with a `*` of the file, so it is a prefix. */
  readonly isPrefix: boolean;
}

/** Reads a name. A text instead of a template says why it is none, for an error at its place. */
export function readTemplate(name: string): NameTemplate | string {
  const parts: TemplatePart[] = [];
  let literal = '';
  let at = 0;
  while (at < name.length) {
    if (name.startsWith('$${', at)) {
      literal += '${';
      at += 3;
    } else if (name.startsWith('${', at)) {
      const end = endOf(name, at + 2);
      if (end < 0) return `\`${name}\`: a \`\${\` has no \`}\`; write \`$\${\` for the characters themselves`;
      const claim = readClaim(name.slice(at + 2, end));
      if (typeof claim === 'string') return `\`${name}\`: ${claim}`;
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(claim);
      at = end + 1;
    } else {
      literal += name[at];
      at += 1;
    }
  }
  const isPrefix = literal.endsWith('*');
  const last = isPrefix ? literal.slice(0, -1) : literal;
  if (last !== '') parts.push(last);
  return checked(name, parts, isPrefix);
}

/** The end of a claim: the first `}` that is not in quotes. */
function endOf(name: string, from: number): number {
  let quoted = false;
  for (let at = from; at < name.length; at += 1) {
    if (name[at] === '"') quoted = !quoted;
    else if (name[at] === '}' && !quoted) return at;
  }
  return -1;
}

function readClaim(text: string): TemplateClaim | string {
  const each = text.endsWith('[]');
  const path = claimPath(each ? text.slice(0, -2) : text);
  if (path) return { path, text, each, until: '' };
  return `\`${text}\` is no path of a claim, such as \`team\`, \`owner.team\` or \`"https://example.com/team"\``;
}

/** Each claim but a last one needs literal text behind it that ends it. */
function checked(name: string, parts: readonly TemplatePart[], isPrefix: boolean): NameTemplate | string {
  const claims = parts.filter((part) => typeof part !== 'string');
  if (claims.filter(({ each }) => each).length > 1) return `\`${name}\`: only one claim of a name may be a list`;
  if (parts.some((part) => typeof part === 'string' && part.includes('*')))
    return `\`${name}\`: a \`*\` is allowed at the end only`;
  const ended = parts.map((part, at): TemplatePart | undefined => {
    if (typeof part === 'string') return part;
    const next = parts[at + 1];
    if (next === undefined) return isPrefix ? undefined : part;
    if (typeof next !== 'string') return undefined;
    const isLast = parts.slice(at + 1).every((later) => typeof later === 'string');
    return isLast && !isPrefix ? part : { ...part, until: next };
  });
  const whole = ended.filter((part) => part !== undefined);
  if (whole.length < parts.length) {
    return `\`${name}\`: a claim needs text behind it before a \`*\` or another claim, such as \`\${team}-*\`, or one value would cover another`;
  }
  return Object.freeze({ parts: Object.freeze(whole), isPrefix });
}

/** Why a name cannot be made. */
export interface TemplateFault {
  /** Path of the claim, as in the file. */
  readonly claim: string;
  /** `missing`: there is no such claim; `type`: it is no text, or no list of texts; `value`: its text does not fit into a name. */
  readonly fault: 'missing' | 'type' | 'value';
}

/** Most names that one template makes of a list. */
const MOST_NAMES = 256;
/** Longest value of a claim, in UTF-16 units. Upstream: a name has at most 255 bytes. */
const MOST_LENGTH = 128;
/** Upstream: characters that no name of a collection has (Qdrant v1.19.0), and what could change how a name is read. */
const UNFIT = /[*/\\<>:"|?$\p{C}\p{Zl}\p{Zp}]|\.\.|^[\s.]|\s$/u;

/** The names that the claims make; a list may make none. Pure. */
export function fillTemplate(template: NameTemplate, claims: Claims): readonly string[] | TemplateFault {
  let names: readonly string[] = [''];
  for (const part of template.parts) {
    if (typeof part === 'string') {
      names = names.map((name) => name + part);
      continue;
    }
    const values = valuesOf(part, claims);
    if (!Array.isArray(values)) return values as TemplateFault;
    names = names.flatMap((name) => values.map((value: string) => name + value));
  }
  return template.isPrefix ? names.map((name) => `${name}*`) : names;
}

function valuesOf({ path, text, each, until }: TemplateClaim, claims: Claims): readonly string[] | TemplateFault {
  const value = claimAt(claims, path);
  if (value === undefined) return { claim: text, fault: 'missing' };
  if (each !== Array.isArray(value)) return { claim: text, fault: 'type' };
  const list = Array.isArray(value) ? value : [value];
  if (list.length > MOST_NAMES || !list.every((one) => typeof one === 'string')) return { claim: text, fault: 'type' };
  return list.every((one) => fits(one, until)) ? list : { claim: text, fault: 'value' };
}

function fits(value: string, until: string): boolean {
  if (value === '' || value.length > MOST_LENGTH || UNFIT.test(value)) return false;
  // INVARIANT: the text behind a claim begins where the value ends and nowhere before, also across both: of `a-` and `--` it would
  // begin one character earlier, and the name would be that of `a`.
  return until === '' || (value + until).indexOf(until) === value.length;
}

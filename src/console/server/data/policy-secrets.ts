import { type Document, isMap, isScalar, isSeq, type Node, parseDocument, type Scalar } from 'yaml';

/** Where the policy file holds secrets: `signing_keys[].secret` (`x-secret` of its schema), and nowhere else. */
const LIST = 'signing_keys';
const SECRET = 'secret';
/** Shorter texts stand anywhere by chance, and no secret that is taken is as short. */
const LEAST_SEARCHED = 4;
const PLACE = /^<kept secret (\d+)>$/;
const PLACE_ANYWHERE = /<kept secret \d+>/;
/** As the policy file is read (`config/yaml/tree.ts`). */
const ALIASES = { maxAliasCount: 100 };

/** A secret of the policy file: its text in the file, and its value. */
export interface Kept {
  readonly source: string;
  readonly value: string;
}

/** A policy text without its secrets, and each of them. */
export interface Masked {
  readonly text: string;
  readonly kept: readonly Kept[];
}

/** The text with a place in the stead of each secret; `undefined` = it cannot be told where its secrets are. */
export function withoutSecrets(text: string): Masked | undefined {
  const document = parsed(text);
  const found = document && secretsIn(document);
  if (!found) return undefined;
  const kept: Kept[] = [];
  const masked = replaced(text, found, (scalar, source) => {
    kept.push({ source, value: String(scalar.value) });
    return `"<kept secret ${kept.length}>"`;
  });
  // INVARIANT: a secret that stands in another place, too, is not told there.
  const rest = parsed(masked);
  if (!rest) return undefined;
  const told = `${masked}\n${JSON.stringify(rest.toJS(ALIASES))}`;
  const stands = kept.some(
    ({ value }) =>
      value.length >= LEAST_SEARCHED && (told.includes(value) || told.includes(JSON.stringify(value).slice(1, -1))),
  );
  return stands ? undefined : { text: masked, kept };
}

/**
 * A draft with the secrets of the file put back, each where a key that signs has its secret, and nowhere else: a place in any other
 * member stays as it is, whatever the name of the member, since what a draft does with other members may be told to its author.
 *
 * @returns a sentence if a place names no secret of the file
 */
export function withSecrets(
  draft: string,
  kept: readonly Kept[],
): { readonly text: string } | { readonly problem: string } {
  if (!PLACE_ANYWHERE.test(draft)) return { text: draft };
  const document = parsed(draft);
  const found = document && secretsIn(document);
  if (!found) return { problem: NOT_READ };
  const back = new Map<Scalar, Kept>();
  for (const scalar of found) {
    const number = PLACE.exec(String(scalar.value))?.[1];
    if (number === undefined) continue;
    const one = kept[Number(number) - 1];
    if (!one) {
      return { problem: `draft: the file in force has no secret ${number}; write one, or name a \`secret_file\`` };
    }
    back.set(scalar, one);
  }
  const wanted = found.map((scalar) => back.get(scalar)?.value ?? String(scalar.value));
  const isTrue = (text: string): boolean => {
    const values = parsed(text) && secretsIn(parsed(text) as Document.Parsed)?.map(({ value }) => String(value));
    return values !== undefined && values.length === wanted.length && values.every((value, at) => value === wanted[at]);
  };
  // As it stands in the file, if that means the same in its new place; else in quotes, which end nowhere else.
  const same = replaced(draft, found, (scalar, source) => back.get(scalar)?.source ?? source);
  if (isTrue(same)) return { text: same };
  const quoted = replaced(draft, found, (scalar, source) => {
    const one = back.get(scalar);
    return one ? JSON.stringify(one.value) : source;
  });
  return isTrue(quoted) ? { text: quoted } : { problem: NOT_READ };
}

const NOT_READ =
  'draft: it is no YAML that the gateway reads, or gives a secret by an anchor or an alias, so that kept secrets cannot be put back';

function parsed(text: string): Document.Parsed | undefined {
  const document = parseDocument(text, { logLevel: 'silent', prettyErrors: false, uniqueKeys: true });
  return document.errors.length > 0 ? undefined : document;
}

/**
 * The scalars that are secrets, in order; `undefined` = one of them is no scalar with a place of its own, or stands within a node that
 * another place can name.
 */
function secretsIn(document: Document.Parsed): readonly Scalar[] | undefined {
  const found: Scalar[] = [];
  const root = document.contents;
  const list = isMap(root) ? root.get(LIST, true) : undefined;
  if (isSeq(list)) {
    for (const key of list.items) {
      const secret = isMap(key) ? key.get(SECRET, true) : undefined;
      if (secret === undefined) continue;
      if (!isScalar(secret) || !secret.range || [root, list, key, secret].some(isAnchored)) return undefined;
      found.push(secret);
    }
  }
  return isAllOf(document, found) ? found : undefined;
}

/** The secrets that the gateway would read, whatever leads to them, are these. */
function isAllOf(document: Document.Parsed, found: readonly Scalar[]): boolean {
  let read: unknown;
  try {
    read = document.toJS(ALIASES);
  } catch {
    return false;
  }
  const list = memberOf(read, LIST);
  const values = Array.isArray(list) ? list.flatMap((key) => memberOf(key, SECRET) ?? []) : [];
  return values.length === found.length && values.every((value, at) => value === found[at]?.value);
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function isAnchored(node: unknown): boolean {
  return (node as Node & { readonly anchor?: string }).anchor !== undefined;
}

function replaced(text: string, scalars: readonly Scalar[], by: (scalar: Scalar, source: string) => string): string {
  let made = '';
  let from = 0;
  for (const scalar of scalars) {
    const [begin = 0, end = 0] = scalar.range ?? [];
    // A block ends with its line.
    const source = text.slice(begin, end).replace(/\n+$/, '');
    made += text.slice(from, begin) + by(scalar, source);
    from = begin + source.length;
  }
  return made + text.slice(from);
}

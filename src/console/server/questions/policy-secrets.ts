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

/** A policy text without its secrets, and each of them. */
export interface Masked {
  readonly text: string;
  readonly kept: readonly string[];
}

/**
 * The text with a place in the stead of each secret; `undefined` = it cannot be told where its secrets are, or it tells another one.
 *
 * @param others further secrets that it must not tell
 */
export function withoutSecrets(text: string, others: readonly string[] = []): Masked | undefined {
  const document = parsed(text);
  const found = document && secretsIn(document);
  if (!found) return undefined;
  const kept: string[] = [];
  const masked = replaced(text, found, (scalar) => {
    kept.push(String(scalar.value));
    return `"<kept secret ${kept.length}>"`;
  });
  // INVARIANT: a secret that stands in another place, too, is not told there.
  const rest = kept.length === 0 ? document : parsed(masked);
  return rest && tells(masked, rest, [...kept, ...others]) === false ? { text: masked, kept } : undefined;
}

/** True = a text tells one of these secrets, as it stands or by its meaning; `undefined` = it has none that can be told. */
function tells(text: string, document: Document.Parsed, secrets: readonly string[]): boolean | undefined {
  const meaning = meaningOf(document);
  if (!meaning) return undefined;
  const told = `${text}\n${meaning.json}`;
  return secrets.some(
    (secret) =>
      secret.length >= LEAST_SEARCHED && (told.includes(secret) || told.includes(JSON.stringify(secret).slice(1, -1))),
  );
}

/** True = a draft may hold a place of a secret. */
export function hasPlace(draft: string): boolean {
  return PLACE_ANYWHERE.test(draft);
}

/** The number of the secret that a text is the place of; `undefined` = it is no place. */
export function numberOfPlace(text: string): number | undefined {
  const number = PLACE.exec(text)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** A sentence for a place of a secret that the file has not. */
export function noSecret(number: number): string {
  return `the file in force has no secret ${number}; write one, or name a \`secret_file\``;
}

/**
 * A draft with the secrets of the file put back, each where a key that signs has its secret, and nowhere else: a place in any other
 * member stays as it is, whatever the name of the member, since what a draft does with other members may be told to its author.
 *
 * @returns a sentence if a place names no secret of the file
 */
export function withSecrets(
  draft: string,
  kept: readonly string[],
): { readonly text: string } | { readonly problem: string } {
  if (!hasPlace(draft)) return { text: draft };
  const document = parsed(draft);
  const found = document && secretsIn(document);
  if (!found) return { problem: NOT_READ };
  const back = new Map<Scalar, string>();
  for (const scalar of found) {
    const number = numberOfPlace(String(scalar.value));
    if (number === undefined) continue;
    const one = kept[number - 1];
    if (one === undefined) return { problem: `draft: ${noSecret(number)}` };
    back.set(scalar, one);
  }
  const wanted = found.map((scalar) => back.get(scalar) ?? String(scalar.value));
  // In quotes, which end nowhere else, whatever is around them.
  const text = replaced(draft, found, (scalar, source) => {
    const one = back.get(scalar);
    return one === undefined ? source : JSON.stringify(one);
  });
  const made = parsed(text);
  const values = made && secretsIn(made)?.map(({ value }) => String(value));
  const isTrue = values?.length === wanted.length && values.every((value, at) => value === wanted[at]);
  return isTrue ? { text } : { problem: NOT_READ };
}

const NOT_READ =
  'draft: it is no YAML that the gateway reads, or gives a secret by an anchor or an alias, so that kept secrets cannot be put back';

/** INVARIANT: nothing is silent. A silent library does not tell of a second document, which has secrets of its own. */
function parsed(text: string): Document.Parsed | undefined {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true });
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
  const list = memberOf(meaningOf(document)?.read, LIST);
  const values = Array.isArray(list) ? list.flatMap((key) => memberOf(key, SECRET) ?? []) : [];
  return values.length === found.length && values.every((value, at) => value === found[at]?.value);
}

/** `undefined` = it cannot be told, since an alias leads in a circle or too far. */
function meaningOf(document: Document.Parsed): { readonly read: unknown; readonly json: string } | undefined {
  try {
    const read: unknown = document.toJS(ALIASES);
    return { read, json: JSON.stringify(read) };
  } catch {
    return undefined;
  }
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
    const [begin = 0, last = 0] = scalar.range ?? [];
    let end = last;
    // A block ends with its line.
    while (end > begin && text[end - 1] === '\n') end -= 1;
    const source = text.slice(begin, end);
    made += text.slice(from, begin) + by(scalar, source);
    from = begin + source.length;
  }
  return made + text.slice(from);
}

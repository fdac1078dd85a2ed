import { type Document, isMap, isPair, isScalar, parseDocument, type Scalar, visit } from 'yaml';

/** Member of the policy file whose value is a secret (`x-secret` of its schema). */
const SECRET = 'secret';
/** Shorter texts stand anywhere by chance, and no secret that is taken is as short. */
const LEAST_SEARCHED = 4;
const PLACE = /^<kept secret (\d+)>$/;

/** A policy text without its secrets, and each of them as it stands in the file. */
export interface Masked {
  readonly text: string;
  readonly kept: readonly string[];
}

/** The text with a place in the stead of each secret; `undefined` = it cannot be told where its secrets are. */
export function withoutSecrets(text: string): Masked | undefined {
  const document = parsed(text);
  const found = document && secretsIn(document);
  if (!found) return undefined;
  const kept: string[] = [];
  const values = new Set<string>();
  const masked = replaced(text, found, (scalar, source) => {
    values.add(String(scalar.value));
    kept.push(source);
    return `"<kept secret ${kept.length}>"`;
  });
  // INVARIANT: a secret that stands in another place, too, is not told there.
  const rest = parsed(masked);
  if (!rest) return undefined;
  const told = `${masked}\n${JSON.stringify(rest.toJS({ maxAliasCount: 100 }))}`;
  const stands = [...values].some(
    (value) =>
      value.length >= LEAST_SEARCHED && (told.includes(value) || told.includes(JSON.stringify(value).slice(1, -1))),
  );
  return stands ? undefined : { text: masked, kept };
}

/**
 * A draft with the secrets of the file put back, each where a secret stands, and nowhere else: a place in another member stays as it is.
 *
 * @returns a sentence if a place names no secret of the file
 */
export function withSecrets(
  draft: string,
  kept: readonly string[],
): { readonly text: string } | { readonly problem: string } {
  const document = parsed(draft);
  // A draft that is no YAML, or names a secret by an alias, has its places refused as too short or unknown by the check.
  const found = document && secretsIn(document);
  if (!found) return PLACE_ANYWHERE.test(draft) ? { problem: NOT_READ } : { text: draft };
  let unknown: string | undefined;
  const text = replaced(draft, found, (scalar, source) => {
    const number = PLACE.exec(String(scalar.value))?.[1];
    if (number === undefined) return source;
    const secret = kept[Number(number) - 1];
    if (secret === undefined) unknown = number;
    return secret ?? source;
  });
  if (unknown !== undefined)
    return { problem: `draft: the file in force has no secret ${unknown}; write one, or name a \`secret_file\`` };
  return { text };
}

const PLACE_ANYWHERE = /<kept secret \d+>/;
const NOT_READ =
  'draft: it is no YAML that the gateway reads, or gives a secret by an alias, so that kept secrets cannot be put back';

function parsed(text: string): Document.Parsed | undefined {
  const document = parseDocument(text, { logLevel: 'silent' });
  return document.errors.length > 0 ? undefined : document;
}

/** The scalars that are secrets, in order; `undefined` = one of them is no scalar with a place. */
function secretsIn(document: Document.Parsed): readonly Scalar[] | undefined {
  const found: Scalar[] = [];
  let isTold = true;
  visit(document, {
    Pair(_, pair) {
      if (!isPair(pair) || !isScalar(pair.key) || pair.key.value !== SECRET || pair.value === null) return;
      if (isScalar(pair.value) && pair.value.range && pair.value.anchor === undefined) found.push(pair.value);
      else isTold = false;
    },
    Map(_, map) {
      if (isMap(map) && map.anchor !== undefined && map.has(SECRET)) isTold = false;
    },
  });
  return isTold ? found : undefined;
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

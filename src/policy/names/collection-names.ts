/** Collections by name and by prefix, byte for byte. */
export interface CollectionNames {
  readonly names: ReadonlySet<string>;
  /** Collections whose names start with one of these; the empty one = all. */
  readonly prefixes: readonly string[];
}

/** True = the name is a prefix: it ends with `*`. Elsewhere a `*` is an ordinary character. */
export function isPattern(name: string): boolean {
  return name.endsWith('*');
}

/** The collections of a list in a file: names, and prefixes, which are names with a trailing `*`. */
export function collectionNames(listed: readonly string[]): CollectionNames {
  return Object.freeze({
    names: new Set(listed.filter((name) => !isPattern(name))),
    prefixes: Object.freeze(listed.filter(isPattern).map((name) => name.slice(0, -1))),
  });
}

/** True = `name` is one of the collections. */
export function covers({ names, prefixes }: CollectionNames, name: string): boolean {
  return names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

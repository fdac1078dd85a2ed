import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Problem } from '../problem.ts';

type Path = readonly (string | number)[];

/** A YAML file as plain data, with the places of its nodes. */
export interface YamlTree {
  /** Null for an empty file; undefined = not valid YAML. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** `file:line:column`, counted from 1, of the node at a path, or of its closest existing parent. */
  readonly placeOf: (path: Path) => string;
  /** The same for the key at the end of a path. */
  readonly placeOfKey: (path: Path) => string;
  readonly valueAt: (path: Path) => unknown;
}

/** Parses YAML. Problems never quote the file, which may contain secrets. */
export function readYamlTree(file: string, text: string): YamlTree {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const placeAt = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const problems = document.errors.map(({ code, pos }) => problemAt(placeAt(pos[0]), code));
  const nodeAt = (path: Path): unknown => (path.length === 0 ? document.contents : document.getIn(path, true));
  const offsetOf = (path: Path): number => {
    for (let length = path.length; length > 0; length--) {
      const start = startOf(nodeAt(path.slice(0, length)));
      if (start !== undefined) return start;
    }
    return startOf(document.contents) ?? 0;
  };
  const keyOf = (path: Path): unknown => {
    const holder = nodeAt(path.slice(0, -1));
    if (!isMap(holder)) return undefined;
    return holder.items.find(({ key }) => (isScalar(key) ? key.value : key) === path.at(-1))?.key;
  };
  let value: unknown;
  if (problems.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: 100 });
    } catch {
      problems.push(problemAt(placeAt(0), 'ALIASES'));
    }
  }
  return {
    value,
    problems,
    placeOf: (path) => placeAt(offsetOf(path)),
    placeOfKey: (path) => placeAt(startOf(keyOf(path)) ?? offsetOf(path)),
    valueAt: (path) => path.reduce((at, part) => memberOf(at, part), value),
  };
}

function problemAt(place: string, code: string): Problem {
  return { place, message: `not valid yaml (${code.toLowerCase().replaceAll('_', ' ')})` };
}

function startOf(node: unknown): number | undefined {
  if (!isNode(node)) return undefined;
  // A block list or section begins at its first entry, not at the blanks before it.
  if ((isMap(node) || isSeq(node)) && !node.range) return undefined;
  return node.range?.[0];
}

function memberOf(value: unknown, part: string | number): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
  return Reflect.get(value, part);
}

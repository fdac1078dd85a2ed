import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLSeq,
} from 'yaml';
import { type Layer, LayerBuilder } from '../layer.ts';
import { suggest } from '../nearest.ts';
import { isSection, namesIn, optionAt } from '../options.ts';
import { listText } from '../text-list.ts';
import { nodeListText } from '../upstream/node-list.ts';
import { textOfScalar } from './scalar.ts';

type Walk = {
  readonly layer: LayerBuilder;
  readonly at: (node: unknown) => string;
  readonly resolve: (node: unknown) => unknown;
};

function rangeStart(node: unknown): number {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range)) return 0;
  return Number(node.range[0]);
}

function walkSection(walk: Walk, path: string, node: unknown, keyPlace: string): void {
  const section = walk.resolve(node);
  // An empty section (`service:` with nothing below) is legal YAML for "nothing set".
  if (section === null || (isScalar(section) && section.value === null)) return;
  if (!isMap(section)) {
    const where = path === '' ? 'the file' : `\`${path}\``;
    walk.layer.problem(
      keyPlace,
      `${where} must be a section with ${namesIn(path)
        .map((name) => `\`${name}\``)
        .join(', ')}`,
    );
    return;
  }
  for (const { key, value } of section.items) {
    const name = isScalar(key) ? String(key.value) : '?';
    // Merging is refused, so that every option is visible in its own place.
    if (name === '<<') walk.layer.problem(walk.at(key), 'merge keys (`<<`) are not read: write the options themselves');
    else walkEntry(walk, path === '' ? name : `${path}.${name}`, value, walk.at(key));
  }
}

function walkEntry(walk: Walk, path: string, node: unknown, keyPlace: string): void {
  if (isSection(path)) {
    walkSection(walk, path, node, keyPlace);
    return;
  }
  const value = walk.resolve(node);
  if (optionAt(path) === undefined) {
    walk.layer.add(path, undefined, keyPlace);
  } else if (value === null || isScalar(value)) {
    addScalar(walk, path, value, value === null ? keyPlace : walk.at(node));
  } else if (isSeq(value) && optionAt(path)?.list) {
    addTexts(walk, path, value);
  } else if (isSeq(value) && optionAt(path)?.fields) {
    addList(walk, path, value);
  } else {
    const { list = false, fields } = optionAt(path) ?? {};
    walk.layer.problem(walk.at(node), `\`${path}\` must be ${list || fields ? 'a list' : 'a single value'}`);
  }
}

/** Adds a list of texts as the text that the environment would hold. */
function addTexts(walk: Walk, path: string, list: YAMLSeq): void {
  const entries: string[] = [];
  for (const item of list.items) {
    const entry = walk.resolve(item);
    const value = isScalar(entry) ? entry.value : undefined;
    if (typeof value === 'string' && /^[^,]+$/.test(value)) entries.push(value);
    else walk.layer.problem(walk.at(item), `an entry of \`${path}\` must be text without commas`);
  }
  walk.layer.add(path, listText(entries), walk.at(list));
}

/** Adds a list of entries as the text that the environment would hold. */
function addList(walk: Walk, path: string, list: YAMLSeq): void {
  const fields = optionAt(path)?.fields ?? [];
  const entries = list.items.map((item) => {
    const entry = walk.resolve(item);
    const found: Record<string, unknown> = {};
    if (!isMap(entry)) {
      walk.layer.problem(walk.at(item), `an entry of \`${path}\` has the fields ${fields.join(', ')}`);
      return found;
    }
    for (const { key, value } of entry.items) {
      const name = isScalar(key) ? String(key.value) : '?';
      const scalar = walk.resolve(value);
      if (!fields.includes(name)) {
        walk.layer.problem(walk.at(key), `unknown field \`${name}\` of \`${path}\`, ${suggest(name, fields)}`);
      } else if (!isScalar(scalar) || /\s/.test(String(scalar.value))) {
        walk.layer.problem(walk.at(value), `\`${name}\` must be a single value`);
      } else found[name] = scalar.value;
    }
    return found;
  });
  if (entries.length === 0)
    walk.layer.problem(walk.at(list), `\`${path}\` is an empty list: name a node, or leave it out`);
  else walk.layer.add(path, nodeListText(entries), walk.at(list));
}

function addScalar({ layer }: Walk, path: string, scalar: Scalar | null, place: string): void {
  const value = scalar?.value ?? null;
  const wantsText = optionAt(path)?.kind.type === 'text';
  if (!wantsText || scalar === null || (typeof value !== 'number' && typeof value !== 'boolean')) {
    layer.add(path, value, place);
    return;
  }
  const read = textOfScalar(scalar.source ?? String(value), value);
  if (!read) layer.problem(place, `\`${path}\` is a number without an exact text: put it in quotes`);
  else layer.add(path, read.text, place);
  if (read?.same === false) {
    layer.warn(
      `${place}: \`${path}\` is a number and taken in its shortest form, as Qdrant takes it: put it in quotes`,
    );
  }
}

/** Reads a YAML configuration file. Places are `file:line:column`, counted from 1. */
export function readYaml(file: string, text: string): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const placeAt = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const layer = new LayerBuilder();
  for (const error of document.errors) {
    // The parser's text may quote the line, which may contain a key: only its code is used.
    layer.problem(placeAt(error.pos[0]), `not valid yaml (${error.code.toLowerCase().replaceAll('_', ' ')})`);
  }
  if (document.errors.length > 0) return layer.build();
  const at = (node: unknown) => placeAt(rangeStart(node));
  const resolve = (node: unknown) => {
    if (!isAlias(node)) return node;
    const named = node.resolve(document);
    if (named === undefined) layer.problem(at(node), 'the alias names no anchor before it');
    return named ?? null;
  };
  const contents: Node | null = document.contents;
  walkSection({ layer, at, resolve }, '', contents, placeAt(0));
  return layer.build();
}

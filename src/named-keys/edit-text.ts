import { type Document, isMap, isSeq, parseDocument, stringify } from 'yaml';
import { cutKeys, joinKeys, type KeyChunk } from '../config/keys/chunks.ts';
import type { KeyEntry } from '../config/keys/schema.ts';
import { KeyFault } from './fault.ts';

/** One change of the named keys. An absent field stays; `null` removes it. */
export type KeyChange =
  | { readonly kind: 'add'; readonly entry: KeyEntry }
  | { readonly kind: 'set'; readonly id: string; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: 'remove'; readonly id: string };

/**
 * The text of the file after the change: JSON for a file of JSON, else YAML with its comments.
 *
 * @param entries those of the text
 */
export function changedText(path: string, text: string, change: KeyChange, entries: readonly KeyEntry[]): string {
  const isJson = text.trim() === '' ? path.endsWith('.json') : text.startsWith('{');
  const quick = isJson ? changedJson(text, change) : changedPart(text, change, entries);
  if (quick !== undefined) return quick;
  const document = parseDocument(text.trim() === '' ? 'keys: []' : text);
  apply(document, change);
  return isJson ? jsonText(document.toJS()) : document.toString({ lineWidth: 0 });
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** `undefined` = not in the form of JSON. */
function changedJson(text: string, change: KeyChange): string | undefined {
  let keys: unknown[];
  try {
    ({ keys } = JSON.parse(text) as { keys: unknown[] });
  } catch {
    return undefined;
  }
  if (change.kind === 'add') return jsonText({ keys: [...keys, change.entry] });
  const others = keys.flatMap((key) => {
    if (Object(key).id !== change.id) return [key];
    return change.kind === 'remove' ? [] : [merged(Object(key), change.fields)];
  });
  return jsonText({ keys: others });
}

function merged(key: object, fields: object): object {
  return Object.fromEntries(Object.entries({ ...key, ...fields }).filter(([, value]) => value !== null));
}

/** Changes one entry and leaves the text of all others. `undefined` = the text has another form. */
function changedPart(text: string, change: KeyChange, entries: readonly KeyEntry[]): string | undefined {
  const cut = cutKeys(text);
  if (!cut) return undefined;
  const { indent } = cut;
  const withEntries = (chunks: readonly KeyChunk[]) => joinKeys({ ...cut, entries: chunks });
  if (change.kind === 'add') {
    const added = stringify([change.entry], { lineWidth: 0, aliasDuplicateObjects: false });
    return withEntries([...cut.entries, { text: indented(added, indent) }]);
  }
  const at = entries.findIndex(({ id }) => id === change.id);
  const document = parseDocument(cut.entries[at]?.text ?? '');
  // INVARIANT: the entry of this id alone is changed.
  if (document.errors.length > 0 || document.getIn([0, 'id']) !== change.id) return undefined;
  if (change.kind === 'remove') {
    return cut.entries.length === 1 ? undefined : withEntries(cut.entries.toSpliced(at, 1));
  }
  setFields(document, [0], change.fields);
  return withEntries(cut.entries.with(at, { text: indented(document.toString({ lineWidth: 0 }), indent) }));
}

/** @param text with a line end at its end */
function indented(text: string, indent: string): string {
  return text.replaceAll(/^(?=[^\n])/gm, indent);
}

function apply(document: Document.Parsed, change: KeyChange): void {
  const list = document.get('keys');
  if (!isSeq(list)) throw new KeyFault('file', ['the file has no list `keys`']);
  list.flow = false;
  if (change.kind === 'add') {
    list.items.push(document.createNode(change.entry));
    return;
  }
  const at = list.items.findIndex((item) => isMap(item) && item.get('id') === change.id);
  if (change.kind === 'remove') {
    list.items.splice(at, 1);
    return;
  }
  setFields(document, ['keys', at], change.fields);
}

function setFields(document: Document.Parsed, path: readonly (string | number)[], fields: object): void {
  for (const [field, value] of Object.entries(fields)) {
    if (value === null) document.deleteIn([...path, field]);
    else document.setIn([...path, field], document.createNode(value));
  }
}

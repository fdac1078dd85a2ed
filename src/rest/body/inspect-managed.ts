import type { JsonReader } from '../../json/reader.ts';
import { expectObject, once, readLookup, ShapeFault } from './inspect-references.ts';

/*
 * Bodies of whole collections, read where a grant permits creating collections or changing aliases by their names.
 *
 * INVARIANT: everything that can hold a name is either read or refused, including arrays in the place of structs.
 */

/** The collection that a new one is filled from. Upstream: `init_from`, until Qdrant v1.15.5; later ignored. */
export function readCreation(reader: JsonReader): readonly string[] {
  let from: string | null | undefined;
  expectObject(reader, 'a collection');
  reader.readObject((key) => {
    if (key !== 'init_from') {
      reader.skipValue();
      return;
    }
    once(reader, key, from);
    from = readLookup(reader, key);
  });
  return typeof from === 'string' ? [from] : [];
}

/** The names of each action, by its key. Upstream: `AliasOperations` of Qdrant v1.19.0. */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  create_alias: ['collection_name', 'alias_name'],
  rename_alias: ['old_alias_name', 'new_alias_name'],
  delete_alias: ['alias_name'],
};

/** All names of an alias change, collections and aliases alike. Upstream reads one action of each element; all count. */
export function readAliasChanges(reader: JsonReader): readonly string[] {
  let names: string[] | undefined;
  expectObject(reader, 'an alias change');
  reader.readObject((key) => {
    if (key !== 'actions') {
      reader.skipValue();
      return;
    }
    once(reader, key, names);
    const found: string[] = [];
    names = found;
    reader.readArray(() => readActions(reader, found));
  });
  if (names === undefined) throw new ShapeFault('missing field `actions`', reader.position);
  return names;
}

function readActions(reader: JsonReader, found: string[]): void {
  const seen = new Set<string>();
  expectObject(reader, 'an action');
  reader.readObject((key) => {
    const fields = Object.hasOwn(ACTIONS, key) ? ACTIONS[key] : undefined;
    if (!fields) {
      reader.skipValue();
      return;
    }
    once(reader, key, seen.has(key) ? key : undefined);
    seen.add(key);
    readNames(reader, key, fields, found);
  });
  if (seen.size === 0) throw new ShapeFault('an action must be one of create, rename and delete', reader.position);
}

function readNames(reader: JsonReader, action: string, fields: readonly string[], found: string[]): void {
  const missing = new Set(fields);
  expectObject(reader, `\`${action}\``);
  reader.readObject((key) => {
    if (!fields.includes(key)) {
      reader.skipValue();
      return;
    }
    once(reader, key, missing.delete(key) ? undefined : key);
    found.push(reader.readString());
  });
  for (const field of missing) throw new ShapeFault(`missing field \`${field}\``, reader.position);
}

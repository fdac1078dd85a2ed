import { readFileSync } from 'node:fs';
import type { Grant } from './principals.ts';

/** A case file: expectations as data, with the principals they speak of. */
export interface CaseFile<Case> {
  readonly principals: Readonly<Record<string, Grant>>;
  readonly cases: readonly Case[];
}

/** Reads a file of `test/cases`. */
export function loadCaseFile<File>(name: string): File {
  return JSON.parse(readFileSync(new URL(`../../cases/${name}`, import.meta.url), 'utf8')) as File;
}

/** Turns `{outcome: 'a b', other: 'c'}` into outcome by name. */
export function byName(groups: Readonly<Record<string, string>> | undefined): Map<string, string> {
  const found = new Map<string, string>();
  for (const [outcome, names] of Object.entries(groups ?? {})) {
    for (const name of names.split(' ')) if (name !== '') found.set(name, outcome);
  }
  return found;
}

/** Runs `work` for every item, at most `lanes` at a time; rejects with the first fault. */
export async function eachOf<Item>(
  items: readonly Item[],
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const next = items.values();
  const lane = async (): Promise<void> => {
    for (const item of next) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

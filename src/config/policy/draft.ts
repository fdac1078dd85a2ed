import { resolve } from 'node:path';
import { readBounded } from '../files/bounded-read.ts';
import { carriedProblems } from '../keys/carried.ts';
import type { ReadFile } from '../secrets.ts';
import type { State } from '../state.ts';
import type { KnownOperations } from './access-problems.ts';
import { type PolicyPreview, readPolicy } from './file.ts';
import type { SecretOf } from './rules.ts';

/** The name of a draft in places of problems. */
const DRAFT = 'draft';

export interface DraftReading {
  readonly operations: KnownOperations;
  readonly files: 'any' | 'known' | ReadonlySet<string>;
  readonly secretOf?: SecretOf | undefined;
}

/**
 * A policy as it would be read from the policy file of a state, from a text that is in no file yet. Files that it names are read.
 * Does not throw.
 *
 * @param operations names of operations that entries may use
 * @param files that it may name, by absolute path: `known` = those that the policy file names now
 * @param secretOf the secret that a text in the draft stands for
 */
export function readPolicyDraft(
  state: State,
  text: string,
  { operations, files, secretOf }: DraftReading,
): PolicyPreview {
  if (files === 'any') return previewOf(state, text, { operations, readFile: readBounded, secretOf });
  const known = files === 'known' ? filesNow(state, operations) : files;
  const readKnown: ReadFile = (path) => {
    if (!known.has(path)) throw new Error('only who may change the policy may name a file that is not in it yet');
    return readBounded(path);
  };
  return previewOf(state, text, { operations, readFile: readKnown, secretOf });
}

function filesNow(state: State, operations: KnownOperations): ReadonlySet<string> {
  const file = state.config.gateway.policy_file;
  const now = file === null ? undefined : bytesOf(file);
  return now === undefined ? new Set() : readPolicyNow(state, now, operations).files;
}

/** A policy as it would be read from a text of its file, and the files that were read for it. Does not throw. */
export function readPolicyNow(
  state: State,
  text: string,
  operations: KnownOperations,
): PolicyPreview & { readonly files: ReadonlySet<string> } {
  const files = new Set<string>();
  const readFile: ReadFile = (path) => {
    files.add(path);
    return readBounded(path);
  };
  return { ...previewOf(state, text, { operations, readFile }), files };
}

function bytesOf(file: string): string | undefined {
  try {
    return readBounded(resolve(file)).toString('utf8');
  } catch {
    return undefined;
  }
}

function previewOf(
  { config, secrets, policy }: State,
  text: string,
  { operations, readFile, secretOf }: Pick<DraftReading, 'operations' | 'secretOf'> & { readonly readFile: ReadFile },
): PolicyPreview {
  const file = resolve(config.gateway.policy_file ?? DRAFT);
  const own = { ...config, gateway: { ...config.gateway, policy_file: file } };
  const read = readPolicy(own, {
    ...{ cwd: process.cwd(), place: DRAFT, operations, secretOf },
    keys: {
      api_key: secrets.apiKey,
      alt_api_key: secrets.altApiKey,
      read_only_api_key: secrets.readOnlyApiKey,
    },
    readFile: (path) => (path === file ? Buffer.from(text) : readFile(path)),
    namedKeys: policy.namedKeys?.map(({ id }) => id) ?? (config.gateway.shared.keys ? [] : undefined),
  });
  const next = { ...read.policy, ...(policy.namedKeys && { namedKeys: policy.namedKeys }) };
  const more = read.problems.length === 0 ? carriedProblems(config, next) : [];
  const problems = [...read.problems, ...more].map(({ place, message }) => ({
    place: place.startsWith(file) ? `line ${place.slice(file.length + 1)}` : place,
    message,
  }));
  return { policy: next, problems, warnings: read.warnings };
}

import { resolve } from 'node:path';
import { readBounded } from '../files/bounded-read.ts';
import { carriedProblems } from '../keys/carried.ts';
import type { ReadFile } from '../secrets.ts';
import type { State } from '../state.ts';
import type { KnownOperations } from './access-problems.ts';
import { type PolicyPreview, readPolicy } from './file.ts';

/** The name of a draft in places of problems. */
const DRAFT = 'draft';

/**
 * A policy as it would be read from the policy file of a state, from a text that is in no file yet. Files that it names are read.
 * Does not throw.
 *
 * @param operations names of operations that entries may use
 * @param files that it may name: `known` = those that the policy file names now
 */
export function readPolicyDraft(
  state: State,
  text: string,
  { operations, files }: { readonly operations: KnownOperations; readonly files: 'any' | 'known' },
): PolicyPreview {
  if (files === 'any') return previewOf(state, text, operations, readBounded);
  const known = new Set<string>();
  const now = state.config.gateway.policy_file === null ? undefined : bytesOf(state.config.gateway.policy_file);
  if (now) {
    previewOf(state, now, operations, (path) => {
      known.add(path);
      return readBounded(path);
    });
  }
  return previewOf(state, text, operations, (path) => {
    if (!known.has(path)) throw new Error('only who may change the policy may name a file that is not in it yet');
    return readBounded(path);
  });
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
  operations: KnownOperations,
  readFile: ReadFile,
): PolicyPreview {
  const file = resolve(config.gateway.policy_file ?? DRAFT);
  const own = { ...config, gateway: { ...config.gateway, policy_file: file } };
  const read = readPolicy(own, {
    ...{ cwd: process.cwd(), place: DRAFT, operations },
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

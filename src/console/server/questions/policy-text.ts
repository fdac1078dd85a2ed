import { createHmac, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type DraftReading, readPolicyNow } from '../../../config/policy/draft.ts';
import type { SecretOf } from '../../../config/policy/rules.ts';
import { reason } from '../../../config/problem.ts';
import type { State } from '../../../config/state.ts';
import { OPERATION_NAMES } from '../../../operations/names.ts';
import type { Role } from '../../api.ts';
import { type PolicyText, readPolicyText } from '../policy-file.ts';
import { hasPlace, type Masked, noSecret, numberOfPlace, withoutSecrets } from './policy-secrets.ts';

/*
 * The text of the policy file for those at the page. INVARIANT: it runs on a thread of its own. YAML takes a time that grows with the
 * square of the members of a map.
 */

/** Longest text that is shown or taken, in characters. */
export const MOST_TEXT = 200_000;

/** The text of the policy file without its secrets, or the reason why it is not shown. */
export type ShownPolicy =
  | { readonly text: string; readonly revision: string }
  | { readonly text: null; readonly why: string };

/** The text for a caller of this role. */
export function shownPolicy(state: State, role: Role): ShownPolicy {
  const found = policyFor(state, role);
  return 'why' in found ? { text: null, why: found.why } : { text: found.text, revision: found.revision };
}

/** The secrets of the file by their numbers in what a caller of this role is shown; none where it is not shown. */
export function keptSecrets(state: State, role: Role): readonly string[] {
  const found = policyFor(state, role);
  return 'why' in found ? [] : found.kept;
}

/** The way to read a draft of a caller of this role. */
export function draftReading(state: State, draft: string, role: Role): Pick<DraftReading, 'files' | 'secretOf'> {
  const found = role === 'read' || hasPlace(draft) ? policyFor(state, role) : undefined;
  const shown = found && !('why' in found) ? found : undefined;
  const files = role === 'full' ? 'any' : (shown?.files ?? 'known');
  return { files, secretOf: secretsOfDraft(shown?.kept ?? [], role) };
}

/**
 * The secrets of a draft. INVARIANT: a secret that a reader writes is another one than each of the gateway, so that no problem and no
 * difference tells which of many guesses is right.
 */
function secretsOfDraft(kept: readonly string[], role: Role): SecretOf {
  const salt = randomBytes(32);
  return (text) => {
    const number = numberOfPlace(text);
    if (number !== undefined) return kept[number - 1] ?? { message: noSecret(number) };
    // One with blanks around it is refused without a comparison.
    return role === 'full' || text !== text.trim() ? text : standIn(text, salt);
  };
}

/** The same for the same text, as long as it, and known to nothing else. */
function standIn(text: string, salt: Buffer): string {
  const digest = createHmac('sha256', salt).update(text).digest('hex');
  const length = Math.max(LEAST_STAND_IN, Buffer.byteLength(text));
  return digest.repeat(Math.ceil(length / digest.length)).slice(0, length);
}

/** Shorter ones could meet by chance. */
const LEAST_STAND_IN = 16;

interface Shown extends Masked {
  readonly revision: string;
  /** Files that the text names, by absolute path, where it was read for a reader. */
  readonly files: ReadonlySet<string>;
}
type Found = Shown | { readonly why: string };

/** The last one of each role: a large file takes seconds, and each question of a page is about it. */
const last = new Map<Role, { readonly state: State; readonly text: string; readonly found: Shown }>();

function policyFor(state: State, role: Role): Found {
  const file = state.config.gateway.policy_file;
  if (file === null) return { why: 'No policy file is configured.' };
  try {
    const read = readPolicyText(file);
    const known = last.get(role);
    if (known?.state === state && known.text === read.text) return known.found;
    const found = foundFor(state, role, read);
    // A file that is not shown now may be so without a change of its text.
    if (!('why' in found)) last.set(role, { state, text: read.text, found });
    return found;
  } catch (error) {
    return { why: `The policy file ${file} cannot be read: ${reason(error)}.` };
  }
}

/** INVARIANT: a reader sees no text but that of the policy in force, since it is known of that one alone where its secrets are. */
function foundFor(state: State, role: Role, { text, revision }: PolicyText): Found {
  if (text.length > MOST_TEXT) return { why: TOO_LONG };
  const masked = withoutSecrets(text, role === 'full' ? [] : secretsOf(state));
  if (!masked) return { why: NOT_KEPT_BACK };
  if (masked.text.length > MOST_TEXT) return { why: TOO_LONG };
  if (role === 'full') return { ...masked, revision, files: new Set() };
  const { policy, problems, files } = readPolicyNow(state, text, OPERATION_NAMES);
  const isInForce = problems.length === 0 && isDeepStrictEqual(withoutPlaces(policy), withoutPlaces(state.policy));
  return isInForce ? { ...masked, revision, files } : { why: NOT_IN_FORCE };
}

/** A copy without the places in the file, which name it in one way or another. */
function withoutPlaces(policy: unknown): unknown {
  const copy: unknown = structuredClone(policy);
  const strip = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('place' in value && typeof value.place === 'string') delete (value as { place?: string }).place;
    for (const part of value instanceof Map || value instanceof Set ? value.values() : Object.values(value))
      strip(part);
  };
  strip(copy);
  return copy;
}

function secretsOf({ policy, secrets: { apiKey, altApiKey, readOnlyApiKey } }: State): readonly string[] {
  const keys = [apiKey, altApiKey, readOnlyApiKey, ...policy.signingKeys.map(({ secret }) => secret)];
  return keys.filter((key) => key !== null);
}

const TOO_LONG = `The policy file has more than ${MOST_TEXT} characters: edit it on its machine.`;
const NOT_KEPT_BACK =
  'The policy file holds a secret in a way that this page cannot keep back, or is no YAML: edit it on its machine.';
const NOT_IN_FORCE =
  'The policy file is not the policy in force: it was changed since, or the reload refused it. Only those who may change it see it until then.';

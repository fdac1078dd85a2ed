import { limitsGone } from '../config/keys/carried.ts';
import { entryFaults, hashText } from '../config/keys/file.ts';
import { type KeyEntry, namedKeySchema } from '../config/keys/schema.ts';
import { sha256Hex } from '../identity/key-ring.ts';
import { chosenKeyText, newKeyId, newKeyText } from '../identity/key-text.ts';
import { hashSlowly } from '../identity/slow-hash.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { findKey, type KeyStorage } from './edit.ts';
import { KeyFault } from './fault.ts';

/*
 * Every change of named keys, for the command line and the admin port. Each is made as a whole, or rejects with
 * `KeyFault` or with `ConfigError` (the file has faults) and changes nothing.
 */

/** A key to be made. Unchecked; fields in the form of the file. */
export interface WantedKey {
  /** Default: a random one. */
  readonly id?: unknown;
  readonly name: unknown;
  readonly owner?: unknown;
  readonly access: unknown;
  readonly expires_at: string;
  readonly not_before?: string | undefined;
  readonly networks?: unknown;
  /** Ids of limits of the policy. */
  readonly limits?: unknown;
  /** A tenant, or a list of them. */
  readonly tenant?: unknown;
  readonly break_glass?: unknown;
  /** A secret that the caller chose; default: one is drawn. */
  readonly chosen?: string | undefined;
}

/** A key with a new text, which is kept nowhere. */
export interface KeyWithText {
  readonly entry: KeyEntry;
  readonly text: string;
}

const POSTFIX_LENGTH = 4;

/**
 * Adds a key. Without an access it is refused.
 *
 * @param now milliseconds since 1970
 * @param limits of the policy, of which the key may carry some; not checked if absent
 */
export async function addKey(
  storage: KeyStorage,
  wanted: WantedKey,
  now: number,
  limits?: readonly { readonly id: string }[],
  taken?: ReadonlySet<string>,
): Promise<KeyWithText> {
  const { chosen, id: wantedId, ...fields } = wanted;
  // An id of another kind is refused below; until then a text is needed.
  const id = wantedId === undefined ? newKeyId() : wantedId;
  const text = chosen === undefined ? newKeyText(String(id)) : chosenKeyText(String(id), chosen);
  const entry = checked({
    ...{ id, name: fields.name, ...given('owner', fields.owner) },
    hash: chosen === undefined ? sha256Text(text) : hashText(await hashSlowly(text)),
    // Of a chosen secret every character counts.
    ...(chosen === undefined && { postfix: text.slice(-POSTFIX_LENGTH) }),
    ...{ access: fields.access, state: 'active', expires_at: fields.expires_at },
    ...{ ...given('not_before', fields.not_before), ...given('networks', fields.networks) },
    ...{ ...given('limits', fields.limits), ...given('tenant', fields.tenant) },
    ...{ ...given('break_glass', fields.break_glass), created_at: isoTime(now) },
  });
  const gone = limits ? limitsGone(entry.limits, limits) : [];
  if (gone.length > 0) throw new KeyFault('invalid', gone);
  if (taken?.has(entry.id)) {
    throw new KeyFault('exists', [`\`${entry.id}\` is the id of an issuer, a signing key or the client certificates`]);
  }
  await storage.edit((entries) => {
    if (entries.some((one) => one.id === entry.id)) {
      throw new KeyFault('exists', [`a key has the id \`${entry.id}\` already`]);
    }
    return { kind: 'add', entry };
  });
  return { entry, text };
}

/**
 * Gives a key another text. INVARIANT: a text that is accepted until a time ends no earlier by a rotation with an overlap: a record holds one
 * former text, and a second one, as of a retry or another tab, would take its place.
 *
 * @param until the former text is accepted until then, in milliseconds since 1970; `undefined` = it ends at once
 * @param now milliseconds since 1970
 */
export async function rotateText(
  storage: KeyStorage,
  id: string,
  until: number | undefined,
  now: number,
): Promise<KeyWithText> {
  const text = newKeyText(id);
  const entries = await storage.edit((before) => {
    const { hash, postfix, previous: former } = findKey(before, id);
    if (until !== undefined && former && Date.parse(former.until) > now)
      throw new KeyFault('overlap', [overlapsUntil(former.until)]);
    const previous = until === undefined ? null : { hash, ...(postfix && { postfix }), until: isoTime(until) };
    return { kind: 'set', id, fields: { hash: sha256Text(text), postfix: text.slice(-POSTFIX_LENGTH), previous } };
  });
  return { entry: findKey(entries, id), text };
}

function overlapsUntil(end: string): string {
  return `the text before the last rotation is accepted until ${end}: rotate after that, or with the overlap 0, which ends all former texts at once`;
}

/** Sets fields of a key, in the form of the file. Resolves to the key after that. */
export async function setFields(
  storage: KeyStorage,
  id: string,
  fields: Partial<Pick<KeyEntry, 'state' | 'expires_at'>>,
): Promise<KeyEntry> {
  const entries = await storage.edit((before) => {
    checked({ ...findKey(before, id), ...fields });
    return { kind: 'set', id, fields };
  });
  return findKey(entries, id);
}

/** Removes a key. Resolves to what it was. */
export async function removeKey(storage: KeyStorage, id: string): Promise<KeyEntry> {
  const removed: KeyEntry[] = [];
  await storage.edit((before) => {
    removed.splice(0, 1, findKey(before, id));
    return { kind: 'remove', id };
  });
  return findKey(removed, id);
}

/** A time in the form of the file, to the second. @param milliseconds since 1970 */
export function isoTime(milliseconds: number): string {
  return new Date(Math.floor(milliseconds / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

function checked(fields: object): KeyEntry {
  const { data, error } = namedKeySchema.safeParse(fields);
  const problems = data
    ? entryFaults(data, OPERATION_NAMES).map(([path, message]) => problemOf(path, message))
    : error.issues.map(({ path, message }) => problemOf(path, message));
  if (!data || problems.length > 0) throw new KeyFault('invalid', problems);
  return data;
}

function problemOf(path: readonly PropertyKey[], message: string): string {
  const field = path.join('.');
  return message.startsWith(`\`${field}\``) ? message : `${field} ${message}`;
}

function given(name: string, value: unknown): Readonly<Record<string, unknown>> {
  return value === undefined ? {} : { [name]: value };
}

function sha256Text(text: string): string {
  return hashText({ kind: 'sha256', digest: sha256Hex(text) });
}

import { BREAK_GLASS_HOURS, isLongOverlap, isNoTime, OVERLAP_FORM } from '../../config/keys/moment.ts';
import type { KeyEntry } from '../../config/keys/schema.ts';
import { type Flags, previewConfig } from '../../config/load.ts';
import { ConfigError } from '../../config/problem.ts';
import { takenIds } from '../../identity/key-ring.ts';
import { addKey, isoTime, removeKey, rotateText, setFields } from '../../named-keys/changes.ts';
import { fileStorage, findKey, type KeyStorage } from '../../named-keys/edit.ts';
import { onRedisAt, readUses, redisKeyStorage } from '../../named-keys/redis/storage.ts';
import type { LimitSettings } from '../../policy/limits/limits.ts';
import { redisAddressOf } from '../../redis/address.ts';
import { type Output, UsageError } from '../output.ts';
import { parseExpiry } from '../token.ts';
import { detailsOf, shownKey, tableOf } from './describe.ts';

/** Options common to the commands of `key`. */
export type KeyFlags = Flags & { readonly file?: string | undefined; readonly json?: boolean | undefined };

/** Options of `key create`, as commander hands them over. */
export type CreateFlags = KeyFlags & {
  readonly name: string;
  readonly id?: string | undefined;
  readonly owner?: string | undefined;
  readonly access?: string | undefined;
  readonly collection?: readonly string[] | undefined;
  readonly expires?: string | undefined;
  readonly for?: string | undefined;
  readonly breakGlass?: boolean | undefined;
  readonly notBefore?: string | undefined;
  readonly network?: readonly string[] | undefined;
  readonly limits?: readonly string[] | undefined;
  readonly tenant?: readonly string[] | undefined;
  readonly tenantJson?: string | undefined;
  readonly chosen?: boolean | undefined;
};

/** Output and clock of a command. */
export interface KeyContext {
  readonly output: Output;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly readStdin: () => Promise<string>;
}

const DEFAULT_LIFE = '90d';
/** Fewest characters of a chosen secret. */
const CHOSEN_LENGTH = 16;

/** `key create`: adds a key and prints its text, once. Without an access it is refused. */
export async function createKey(flags: CreateFlags, context: KeyContext): Promise<void> {
  const { id, name, owner, network: networks, limits } = flags;
  const wanted = {
    ...{ id, name, owner, networks, limits, access: accessIn(flags), tenant: tenantIn(flags) },
    expires_at: endIn(flags, context.now),
    not_before: flags.notBefore === undefined ? undefined : momentIn(flags.notBefore, '--not-before', context.now),
    ...(flags.breakGlass && { break_glass: true }),
    chosen: flags.chosen ? await readChosen(context) : undefined,
  };
  const { storage, limits: known, taken } = placeOf(flags);
  const { entry, text } = await addKey(storage, wanted, context.now, known, taken);
  tellSecret(entry, text, 'created', flags, context);
}

/** `key list`. */
export async function listKeys(flags: KeyFlags, { output, now }: KeyContext): Promise<void> {
  const { storage, uses } = placeOf(flags);
  const [entries, used] = [await storage.read(), await uses?.()];
  const keys = entries.map((entry) => shownKey(entry, now, used));
  output.out(flags.json ? `${JSON.stringify(keys, undefined, 2)}\n` : tableOf(keys));
}

/** `key show`. */
export async function showKey(id: string, flags: KeyFlags, { output, now }: KeyContext): Promise<void> {
  const { storage, uses } = placeOf(flags);
  const key = shownKey(findKey(await storage.read(), id), now, await uses?.());
  output.out(flags.json ? `${JSON.stringify(key, undefined, 2)}\n` : detailsOf(key));
}

/** `key rotate`: gives the key another text and prints it, once. The former text is accepted for the overlap. */
export async function rotateKey(
  id: string,
  flags: KeyFlags & { readonly overlap: string },
  context: KeyContext,
): Promise<void> {
  const until = overlapIn(flags.overlap, context.now);
  const { entry, text } = await rotateText(placeOf(flags).storage, id, until, context.now);
  tellSecret(entry, text, 'rotated', flags, context);
}

function overlapIn(text: string, now: number): number | undefined {
  if (isNoTime(text)) return undefined;
  const seconds = parseExpiry(text, now, '--overlap');
  if (isLongOverlap(seconds, now))
    throw new UsageError(`--overlap \`${text}\` is too long; it is like ${OVERLAP_FORM}`);
  return seconds * 1000;
}

/** `key disable`, `key enable`. */
export async function setState(
  id: string,
  state: KeyEntry['state'],
  flags: KeyFlags,
  context: KeyContext,
): Promise<void> {
  const entry = await setFields(placeOf(flags).storage, id, { state });
  tell(entry, state === 'active' ? 'enabled' : 'disabled', flags, context);
}

/** `key expire`: sets the end of the key, by default now. */
export async function expireKey(
  id: string,
  flags: KeyFlags & { readonly at: string },
  context: KeyContext,
): Promise<void> {
  const end = flags.at === 'now' ? isoTime(context.now) : expiryIn(flags.at, context.now);
  const entry = await setFields(placeOf(flags).storage, id, { expires_at: end });
  tell(entry, `set to expire (${end})`, flags, context);
}

/** `key delete`. */
export async function deleteKey(id: string, flags: KeyFlags, context: KeyContext): Promise<void> {
  tell(await removeKey(placeOf(flags).storage, id), 'deleted', flags, context);
}

function tell(entry: KeyEntry, done: string, flags: KeyFlags, { output, now }: KeyContext): void {
  if (flags.json) output.out(`${JSON.stringify(shownKey(entry, now), undefined, 2)}\n`);
  else output.out(`the key \`${entry.id}\` is ${done}\n`);
}

/** The text goes to standard output, and everything a person reads to the other stream. */
function tellSecret(entry: KeyEntry, text: string, done: string, flags: KeyFlags, { output, now }: KeyContext): void {
  if (flags.json) output.out(`${JSON.stringify({ ...shownKey(entry, now), key: text }, undefined, 2)}\n`);
  else output.out(`${text}\n`);
  output.err(
    `${done} the key \`${entry.id}\` (${entry.name}), it expires: ${entry.expires_at}; its text is shown once\n`,
  );
}

interface KeyPlace {
  readonly storage: KeyStorage;
  /** Of the policy; `undefined` = unknown. */
  readonly limits: readonly LimitSettings[] | undefined;
  /** Ids of callers of other kinds in the policy; absent = not known. */
  readonly taken?: ReadonlySet<string>;
  /** Minutes of last use, by id; absent = they are not shared. */
  readonly uses?: () => Promise<ReadonlyMap<string, number>>;
}

function placeOf(flags: KeyFlags): KeyPlace {
  if (flags.file !== undefined) return { storage: fileStorage(flags.file), limits: undefined };
  const { config, policy, problems } = previewConfig({ argv: flags });
  if (config === null) throw new ConfigError(problems);
  const { keys_file: file } = config.gateway;
  const limits = policy.limits ?? [];
  const taken = takenIds({ ...policy, certificates: policy.clientCertificates?.id });
  if (file) return { storage: fileStorage(file), limits, taken };
  const address = config.gateway.shared.keys ? redisAddressOf(config) : undefined;
  if (address) {
    const on = onRedisAt(address);
    return {
      storage: redisKeyStorage({ prefix: address.prefix, on, now: Date.now }),
      limits,
      taken,
      uses: () => on((link) => readUses(link, address.prefix)),
    };
  }
  throw new UsageError(
    'no store of named keys is configured: set `gateway.keys_file` or `gateway.shared.keys`, or name a file with --file',
  );
}

function accessIn({ access, collection = [] }: CreateFlags): unknown {
  if ((access === undefined) === (collection.length === 0)) {
    throw new UsageError('give either --access (r, m or entries as JSON), or --collection name=r|rw|prw once or more');
  }
  if (access === undefined) {
    return collection.map((entry) => {
      const cut = entry.lastIndexOf('=');
      return { collection: entry.slice(0, Math.max(cut, 0)), access: entry.slice(cut + 1) };
    });
  }
  if (!access.startsWith('[')) return access;
  try {
    return JSON.parse(access);
  } catch {
    throw new UsageError('--access is not valid JSON');
  }
}

/** One text stands for itself, so that the file stays plain. */
function tenantIn({ tenant, tenantJson }: CreateFlags): unknown {
  if (tenantJson === undefined) return tenant?.length === 1 ? tenant[0] : tenant;
  if (tenant !== undefined) throw new UsageError('give either --tenant or --tenant-json');
  try {
    return JSON.parse(tenantJson);
  } catch {
    throw new UsageError('--tenant-json is not valid JSON');
  }
}

async function readChosen({ readStdin }: KeyContext): Promise<string> {
  const secret = (await readStdin()).replace(/\r?\n$/, '');
  if (secret.length < CHOSEN_LENGTH || !/^[!-~]+( [!-~]+)*$/.test(secret)) {
    throw new UsageError(`the secret on standard input must have ${CHOSEN_LENGTH} or more printable ASCII characters`);
  }
  return secret;
}

/** The end of a new key: after a time from its begin, at a moment, or after 90 days. A break-glass key has none by default. */
function endIn({ expires, for: life, notBefore, breakGlass }: CreateFlags, now: number): string {
  if (expires !== undefined && life !== undefined) throw new UsageError('give --expires or --for, not both');
  if (life !== undefined) {
    const begin = notBefore === undefined ? now : parseExpiry(notBefore, now, '--not-before') * 1000;
    if (!/^[0-9]+[smhdw]$/.test(life)) throw new UsageError('--for must be a time such as 2h or 90m');
    return isoTime(parseExpiry(life, begin, '--for') * 1000);
  }
  if (breakGlass && expires === undefined) {
    throw new UsageError(`a break-glass key needs its end: give --for, at most ${BREAK_GLASS_HOURS}h`);
  }
  return expiryIn(expires ?? DEFAULT_LIFE, now);
}

function expiryIn(text: string, now: number): string {
  return text === 'never' ? text : isoTime(parseExpiry(text, now, '--expires') * 1000);
}

function momentIn(text: string, flag: string, now: number): string {
  return isoTime(parseExpiry(text, now, flag) * 1000);
}

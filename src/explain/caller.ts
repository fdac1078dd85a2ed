import { nearest } from '../config/nearest.ts';
import type { Principal } from '../identity/principal.ts';
import { mintToken } from '../identity/token.ts';
import type { Denial } from '../policy/denial.ts';
import type { OfflineParts } from './parts.ts';

/** Longest unknown id that an error repeats: a longer one may be a key. */
const MAX_SHOWN = 15;

/**
 * The caller of a question.
 * - `headers`: the credential is in the headers of the request, or there is none
 * - `credential`: a key or a token
 * - `key`: a configured key or a named key, by its id; no secret is needed
 * - `claims`: a token with these claims, signed with the key of this id; default: the first that signs tokens
 */
export type Caller =
  | { readonly kind: 'headers' }
  | { readonly kind: 'credential'; readonly text: string }
  | { readonly kind: 'key'; readonly id: string }
  | { readonly kind: 'claims'; readonly claims: object; readonly signingKey: string | undefined };

/** A caller that the configuration does not have. The text says which ones there are. */
export class UnknownCaller extends Error {
  readonly code = 'ERR_UNKNOWN_CALLER';
}

/** A caller as requests are judged with it. */
export type Presented =
  /** Headers that carry the credential: name, value. */
  | { readonly kind: 'headers'; readonly headers: readonly string[] }
  /** A named key, whose secret is not known here. */
  | { readonly kind: 'identity'; readonly identity: Principal | Denial };

const NOTHING: Presented = Object.freeze({ kind: 'headers', headers: Object.freeze([]) });

/** The id that stands for callers without a credential. */
export const ANONYMOUS = 'anonymous';

/** Makes a caller presentable. Rejects with `UnknownCaller`. */
export async function present(caller: Caller, parts: OfflineParts): Promise<Presented> {
  switch (caller.kind) {
    case 'headers':
      return NOTHING;
    case 'credential':
      return withKey(caller.text);
    case 'key':
      return presentKey(caller.id, parts);
    case 'claims':
      return withKey(await mintToken(caller.claims, secretOf(caller.signingKey, parts)));
    default:
      return caller satisfies never;
  }
}

function withKey(text: string): Presented {
  return { kind: 'headers', headers: ['api-key', text] };
}

function presentKey(id: string, { state, ring, assumptions }: OfflineParts): Presented {
  if (id === ANONYMOUS) return NOTHING;
  const text = configuredKeys(state)[id];
  if (text) return withKey(text);
  const identity = ring.named?.holder(id, assumptions);
  if (identity) return { kind: 'identity', identity };
  if (signingSecrets(state).some((key) => key.id === id)) {
    throw new UnknownCaller(`\`${id}\` signs tokens and is no key itself: give the claims of a token`);
  }
  // INVARIANT: a key that was given in the place of its id is not repeated.
  const shown =
    id.length > MAX_SHOWN
      ? `of ${id.length} characters (a caller is named by the id of its key, not by the key)`
      : `\`${id}\``;
  throw new UnknownCaller(`no key has the id ${shown}, ${didYouMean(id, callerIds(state))}`);
}

function secretOf(id: string | undefined, { state }: OfflineParts): string {
  const secrets = signingSecrets(state);
  const found = id === undefined ? secrets[0] : secrets.find((key) => key.id === id);
  if (found) return found.secret;
  if (id === undefined) throw new UnknownCaller('no key is configured that signs tokens');
  throw new UnknownCaller(
    `no key that signs tokens has the id \`${id}\`, ${didYouMean(
      id,
      secrets.map((key) => key.id),
    )}`,
  );
}

type Configured = Pick<OfflineParts['state'], 'secrets' | 'policy'>;

/** The configured keys that are presented as they are, by id. */
export function configuredKeys({ secrets }: Configured): Readonly<Record<string, string | null>> {
  return { api_key: secrets.apiKey, alt_api_key: secrets.altApiKey, read_only_api_key: secrets.readOnlyApiKey };
}

/** The keys that sign tokens, in the order in which they are tried. */
export function signingSecrets({
  secrets,
  policy,
}: Configured): readonly { readonly id: string; readonly secret: string }[] {
  const admin = [
    { id: 'api_key', secret: secrets.apiKey },
    { id: 'alt_api_key', secret: secrets.altApiKey },
  ].flatMap(({ id, secret }) => (secret === null ? [] : [{ id, secret }]));
  // Keys for exchange sign no token of a client.
  return [...admin, ...policy.signingKeys.filter(({ exchange }) => !exchange)];
}

/** The ids of all keys that can be asked about. */
export function callerIds(state: Configured): readonly string[] {
  const configured = Object.entries(configuredKeys(state)).flatMap(([id, text]) => (text ? [id] : []));
  return [ANONYMOUS, ...configured, ...(state.policy.namedKeys ?? []).map(({ id }) => id)];
}

function didYouMean(id: string, ids: readonly string[]): string {
  const meant = nearest(id, ids);
  return meant === undefined ? `there are ${ids.map((one) => `\`${one}\``).join(', ')}` : `did you mean \`${meant}\`?`;
}

import { type Authenticator, createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing, type KeyRing, type RingKeys } from '../../src/identity/key-ring.ts';
import type { Identity } from '../../src/identity/principal.ts';
import { NO_REVOCATIONS, type Revocations } from '../../src/identity/revocations.ts';
import { AddressRanges } from '../../src/net/addresses.ts';
import type { TokenExchangeSettings } from '../../src/policy/minting/settings.ts';
import { createTokenEndpoint, type ExchangeOutcome, type TokenEndpoint } from '../../src/token-endpoint/endpoint.ts';
import { KEYS } from './gateway.ts';

/** The secret that signs minted tokens in tests. */
export const MINTING_SECRET = 'a-secret-for-minted-tokens-0123456789';
/** A time in milliseconds, and the same in seconds. */
export const NOW = 1_764_450_000_000;
export const NOW_SECONDS = NOW / 1000;

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** Types of tokens. */
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const JWT = 'urn:ietf:params:oauth:token-type:jwt';

/** A form with these parameters beside those that every exchange has; `undefined` leaves one out. */
export function formOf(parameters: Readonly<Record<string, string | undefined>>): string {
  const all = { grant_type: GRANT, subject_token_type: ACCESS_TOKEN, ...parameters };
  const pairs = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  );
  return pairs.join('&');
}

/** An answer of the endpoint, read. */
export interface Answered {
  readonly status: number;
  /** The token, if there is one. */
  readonly token: string;
  readonly error: string | undefined;
  readonly description: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: readonly string[];
}

/** An authenticator with a token endpoint before it, a clock that a test moves, and keys that it replaces. */
export interface Mint {
  readonly authenticator: Authenticator;
  readonly endpoint: TokenEndpoint;
  readonly outcomes: ExchangeOutcome[];
  now: number;
  revocations: Revocations;
  settings: TokenExchangeSettings | undefined;
  /** Exchanges a credential; `more` are further parameters of the form. */
  readonly exchange: (credential: string, more?: Readonly<Record<string, string | undefined>>) => Promise<Answered>;
  /** Sends a body as it is. */
  readonly send: (body: string | Uint8Array, headers?: readonly string[]) => Promise<Answered>;
  /** Who presents a credential, from an address. */
  readonly who: (credential: string, remote?: string) => Promise<Identity>;
  /** Other keys from now on; unnamed ones stay. */
  readonly replace: (keys: RingKeys) => void;
}

export const FORM_HEADERS: readonly string[] = ['content-type', 'application/x-www-form-urlencoded'];

const SETTINGS: TokenExchangeSettings = { lifetime: 300, perMinute: 1000, restPort: true, keys: [] };

/** Both on these keys: the admin key, a signing key for clients, and one for exchange, unless they say otherwise. */
export function openMint(keys: RingKeys = {}): Mint {
  let all: RingKeys = {
    ...{ apiKey: KEYS.admin, readOnlyApiKey: KEYS.readOnly, jwtRbac: true },
    signingKeys: [
      { id: 'web', secret: 'a-secret-for-clients-0123456789-0123456789' },
      { id: 'minting', secret: MINTING_SECRET, exchange: true },
    ],
    rangesOf: (entries) => new AddressRanges(entries),
    ...keys,
  };
  let generation = 1;
  const ring = (): KeyRing => createKeyRing(all, generation);
  const outcomes: ExchangeOutcome[] = [];
  const authenticator = createAuthenticator({
    ...{ ring: ring(), cacheEntries: 100, now: () => mint.now, revocations: () => mint.revocations },
    valueExists: async () => undefined,
  });
  const endpoint = createTokenEndpoint({
    ...{ authenticator, settings: () => mint.settings, admit: () => undefined },
    record: (outcome) => outcomes.push(outcome),
    fault: (error) => {
      throw error;
    },
    ...{ now: () => mint.now, monotonic: () => mint.now },
  });
  const send = async (body: string | Uint8Array, headers = FORM_HEADERS): Promise<Answered> => {
    const request = { method: 'POST', hasQuery: false, headers, remote: '127.0.0.1', tracingId: 'trace' } as const;
    const answer = await endpoint.answer({ ...request, port: 'rest', body: Buffer.from(body) });
    return readAnswer(answer);
  };
  const mint: Mint = {
    ...{ authenticator, endpoint, outcomes, now: NOW, revocations: NO_REVOCATIONS, settings: SETTINGS, send },
    exchange: (credential, more) => send(formOf({ subject_token: credential, ...more })),
    who: async (credential, remote = '127.0.0.1') =>
      await authenticator.authenticate(['api-key', credential], undefined, remote),
    replace(next) {
      all = { ...all, ...next };
      generation += 1;
      authenticator.replaceRing(ring());
    },
  };
  return mint;
}

/** An answer as `Answered`. */
export function readAnswer({
  status,
  headers,
  body,
}: {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}): Answered {
  const read = (body === '' ? {} : JSON.parse(body)) as Readonly<Record<string, unknown>>;
  const text = (name: string): string | undefined => (typeof read[name] === 'string' ? read[name] : undefined);
  const [token, error, description] = [text('access_token'), text('error'), text('error_description')];
  return { status, token: token ?? '', error, description: description ?? '', body: read, headers };
}

/** The claims of a token, unverified. */
export function claimsIn(token: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Readonly<
    Record<string, unknown>
  >;
}

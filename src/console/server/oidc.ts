import type * as Client from 'openid-client';
import type { Config } from '../../config/schema.ts';
import { textList } from '../../config/text-list.ts';
import { CONSOLE_PATH } from '../../exchange/console-request.ts';
import { ask, KeyFetchFault } from '../../issuers/get.ts';
import type { Role } from '../api.ts';
import type { ConsoleSource } from './source.ts';

type OidcSettings = Config['gateway']['console']['oidc'];

/** The secrets of a login that is under way. INVARIANT: the browser has them sealed, and they are good for one answer. */
export interface PendingLogin {
  readonly state: string;
  readonly nonce: string;
  /** PKCE (RFC 7636). */
  readonly verifier: string;
  readonly issuer: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** The claims of the identity provider about a person who signed in. */
export interface SignedClaims {
  readonly subject: string;
  readonly issuer: string;
  /** Values of the claim that gives the role. */
  readonly values: readonly string[];
}

/** Time for the person at the identity provider, in seconds. */
export const LOGIN_SECONDS = 600;
const LIMIT_MS = 10_000;
const MAX_BYTES = 1_048_576;
/** Metadata are asked for anew after this, in milliseconds. */
const KEEP_MS = 600_000;
const MAX_VALUES = 500;
const MAX_TEXT = 255;

/** Login by OpenID Connect: code flow with PKCE, state and nonce (OpenID Connect Core 1.0, section 3.1; RFC 9700, section 2.1). */
export class OidcLogin {
  readonly #source: Pick<ConsoleSource, 'state' | 'now'>;
  #known: { readonly key: string; readonly at: number; readonly config: Promise<Client.Configuration> } | undefined;

  constructor(source: Pick<ConsoleSource, 'state' | 'now'>) {
    this.#source = source;
  }

  get settings(): OidcSettings {
    return this.#source.state().config.gateway.console.oidc;
  }

  /** True = a login by an identity provider is configured. */
  get isOn(): boolean {
    return this.settings.issuer !== null;
  }

  /** Begins a login: where the browser is sent, and what it brings back. Rejects if the provider does not answer. */
  async begin(): Promise<{ readonly location: string; readonly pending: PendingLogin }> {
    const client = await import('openid-client');
    const config = await this.#configuration(client);
    const verifier = client.randomPKCECodeVerifier();
    const pending = {
      ...{ state: client.randomState(), nonce: client.randomNonce(), verifier },
      issuer: this.settings.issuer ?? '',
      until: this.#source.now() + LOGIN_SECONDS * 1000,
    };
    const location = client.buildAuthorizationUrl(config, {
      redirect_uri: this.#redirectUri(),
      scope: this.settings.scope,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state: pending.state,
      nonce: pending.nonce,
    });
    return { location: location.href, pending };
  }

  /** The claims of an answer. Rejects if anything about it is wrong. @param query as received, without the question mark */
  async finish(pending: PendingLogin, query: string): Promise<SignedClaims> {
    if (pending.until <= this.#source.now()) throw new KeyFetchFault('the login took too long');
    if (pending.issuer !== this.settings.issuer) throw new KeyFetchFault('another identity provider is configured now');
    const client = await import('openid-client');
    const config = await this.#configuration(client);
    const answered = new URL(`${this.#redirectUri()}?${query}`);
    const tokens = await client.authorizationCodeGrant(config, answered, {
      ...{ pkceCodeVerifier: pending.verifier, expectedState: pending.state, expectedNonce: pending.nonce },
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    if (!claims) throw new KeyFetchFault('there is no ID token');
    const given: unknown = claims[this.settings.claim];
    const values = (Array.isArray(given) ? given : [given]).filter((one) => typeof one === 'string');
    return {
      subject: claims.sub.slice(0, MAX_TEXT),
      issuer: pending.issuer,
      values: values.slice(0, MAX_VALUES),
    };
  }

  /** The role of claims by the settings in force; `undefined` = none. */
  roleOf({ issuer, values }: SignedClaims): Role | undefined {
    const { issuer: own, full, read } = this.settings;
    if (own !== issuer) return undefined;
    const isIn = (list: string | null): boolean => textList(list).some((one) => values.includes(one));
    return isIn(full) ? 'full' : isIn(read) ? 'read' : undefined;
  }

  #redirectUri(): string {
    return `${this.settings.public_url}${CONSOLE_PATH}/oidc/callback`;
  }

  async #configuration(client: typeof Client): Promise<Client.Configuration> {
    const { issuer, client_id: id } = this.settings;
    if (issuer === null || id === null) throw new KeyFetchFault('no identity provider is configured');
    const { secret = null, ca = null } = this.#source.state().secrets.consoleClient ?? {};
    const key = JSON.stringify([issuer, id, secret, ca?.toString('base64')]);
    const now = this.#source.now();
    if (this.#known?.key === key && now - this.#known.at < KEEP_MS) return await this.#known.config;
    const config = client.discovery(
      new URL(issuer),
      id,
      { ...(secret === null ? {} : { client_secret: secret }) },
      secret === null ? client.None() : undefined,
      {
        [client.customFetch]: (url, init) => fetchWith(ca?.toString('utf8'), url, init),
        ...(issuer.startsWith('http://') ? { execute: [client.allowInsecureRequests] } : {}),
      },
    );
    this.#known = { key, at: now, config };
    config.catch(() => {
      if (this.#known?.config === config) this.#known = undefined;
    });
    return await config;
  }
}

/** The requests of the client: bounded in time and size, no redirects, one CA. */
async function fetchWith(
  ca: string | undefined,
  url: string,
  { method, headers, body }: Client.CustomFetchOptions,
): Promise<Response> {
  if (method !== 'GET' && method !== 'POST') throw new KeyFetchFault(`the method \`${method}\` is not used`);
  const sent = body === undefined || body === null ? undefined : String(body);
  const asked = await ask({ method, url, ca, headers, body: sent, maxBytes: MAX_BYTES, limitMs: LIMIT_MS });
  return new Response(new Uint8Array(asked.body), {
    status: asked.status,
    headers: { 'content-type': asked.contentType },
  });
}

import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';
import { makeAuthority } from '../authority.ts';
import { providerKey } from './keys.ts';

/** A provider that people sign in at (oidc-provider), over TLS with a CA of its own. */
export interface LoginProvider {
  readonly issuer: string;
  /** Path of its CA. */
  readonly ca: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Follows a browser from the address it was sent to, as this person: the address it is sent back to. */
  readonly signIn: (location: string, person: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

const CLIENT = { client_id: 'console', client_secret: 'console-secret-0123456789-0123456789' };
const MOST_STEPS = 12;

/**
 * @param redirectUri that is registered
 * @param groupsOf value of the claim `groups` for a person
 */
export async function startLoginProvider(
  folder: string,
  redirectUri: string,
  groupsOf: (person: string) => unknown,
): Promise<LoginProvider> {
  const authority = await makeAuthority(folder, 'login');
  const made = await authority.issue('localhost');
  const ca = readFileSync(authority.ca);
  const key = providerKey('RS256', 'login-0');
  let handle: ReturnType<Provider['callback']> = () => undefined;
  const server = createServer({ cert: readFileSync(made.cert), key: readFileSync(made.key) }, (asked, answer) =>
    handle(asked, answer),
  );
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `https://localhost:${port}`;
  const open = (): void => {
    handle = new Provider(issuer, {
      jwks: { keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: key.alg, use: 'sig' }] },
      clients: [
        { ...CLIENT, grant_types: ['authorization_code'], redirect_uris: [redirectUri], response_types: ['code'] },
      ],
      cookies: { keys: ['cookies of a test'] },
      claims: { openid: ['sub', 'groups'] },
      conformIdTokenClaims: false,
      findAccount: (_context: unknown, person: string) => ({
        accountId: person,
        claims: () => ({ sub: person, groups: groupsOf(person) }),
      }),
      features: { devInteractions: { enabled: true } },
    }).callback();
  };
  open();
  return {
    ...{ issuer, ca: authority.ca, clientId: CLIENT.client_id, clientSecret: CLIENT.client_secret },
    signIn: (location, person) => follow(location, person, { port, ca, home: issuer }),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

interface Around {
  readonly port: number;
  readonly ca: Buffer;
  readonly home: string;
}

/** A browser with cookies that fills in the forms. */
async function follow(location: string, person: string, { port, ca, home }: Around): Promise<string> {
  const jar = new Map<string, string>();
  let path = location.slice(home.length);
  let body: string | undefined;
  for (let step = 0; step < MOST_STEPS; step++) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const form = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
    request(
      {
        ...{ host: '127.0.0.1', servername: 'localhost', port, ca, path, agent: false },
        method: body === undefined ? 'GET' : 'POST',
        headers: { host: `localhost:${port}`, cookie, ...form },
      },
      resolve,
    )
      .on('error', reject)
      .end(body);
    const answer = await promise;
    const page = await text(answer);
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [pair = ''] = line.split(';', 1);
      jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    }
    const next = answer.headers.location;
    if (next !== undefined) {
      body = undefined;
      if (next.startsWith('/')) path = next;
      else if (next.startsWith(home)) path = next.slice(home.length);
      else return next;
      continue;
    }
    const [, action = ''] = /action="([^"]+)"/.exec(page) ?? [];
    const [, prompt = ''] = /name="prompt" value="([^"]+)"/.exec(page) ?? [];
    if (action === '') throw new Error(`the provider answers ${answer.statusCode}: ${page.slice(0, 300)}`);
    path = action.startsWith(home) ? action.slice(home.length) : action;
    body = new URLSearchParams({
      prompt,
      ...(prompt === 'login' ? { login: person, password: 'any' } : {}),
    }).toString();
  }
  throw new Error('the login does not end');
}

import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Provider } from 'oidc-provider';
import { makeAuthority } from '../authority.ts';
import { type ProviderKey, providerKey } from './keys.ts';

/** A real OpenID Connect provider (oidc-provider) over TLS, with a CA of its own. */
export interface TestProvider {
  readonly issuer: string;
  /** Path of the CA. */
  readonly ca: string;
  /** A token by client credentials, for this audience. */
  readonly token: (audience?: string) => Promise<string>;
  /** From now on tokens are signed with another key, and the key set has that one alone. */
  readonly rotate: () => void;
  /** The key that signs. */
  readonly key: () => ProviderKey;
  /** Replaces its answers; `undefined` = it answers itself. */
  readonly answerWith: (listener: RequestListener | undefined) => void;
  /** Ends it with all connections; `start` brings it back on the same port. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  /** Requests for its key set so far. */
  readonly fetches: () => number;
}

const CLIENT = { client_id: 'robot', client_secret: 'robot-secret-0123456789' };

/** @param folder for the files of its CA */
export async function startProvider(folder: string, name = 'provider'): Promise<TestProvider> {
  const authority = await makeAuthority(folder, name);
  const made = await authority.issue('localhost');
  let number = 0;
  let key = providerKey('RS256', `${name}-0`);
  let handle: RequestListener = () => undefined;
  let other: RequestListener | undefined;
  let fetches = 0;
  const listen = async (port: number): Promise<Server> => {
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      if (request.url === '/jwks') fetches += 1;
      const answer = request.url === '/token' ? handle : (other ?? handle);
      answer(request, response);
    };
    const server = createServer({ cert: readFileSync(made.cert), key: readFileSync(made.key) }, listener);
    await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
    return server;
  };
  let server: Server | undefined = await listen(0);
  const { port } = server.address() as AddressInfo;
  const issuer = `https://localhost:${port}`;
  const begin = (): void => {
    handle = providerOf(issuer, key).callback();
  };
  begin();
  return {
    ...{ issuer, ca: authority.ca, key: () => key, fetches: () => fetches },
    token: (audience = 'qdrant') => askForToken(port, readFileSync(authority.ca), audience),
    rotate() {
      number += 1;
      key = providerKey('RS256', `${name}-${number}`);
      begin();
    },
    answerWith(listener) {
      other = listener;
    },
    async stop() {
      const ending = server;
      server = undefined;
      if (!ending) return;
      ending.closeAllConnections();
      await new Promise<void>((resolve) => void ending.close(() => resolve()));
    },
    async start() {
      server ??= await listen(port);
    },
  };
}

function providerOf(issuer: string, key: ProviderKey): Provider {
  const privateJwk = { ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: key.alg, use: 'sig' };
  return new Provider(issuer, {
    jwks: { keys: [privateJwk] },
    clients: [{ ...CLIENT, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    cookies: { keys: ['a test has no cookies'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          ...{ scope: 'read', audience: resource.replace(/^urn:/, ''), accessTokenTTL: 300 },
          ...{ accessTokenFormat: 'jwt', jwt: { sign: { alg: key.alg } } },
        }),
      },
    },
    extraTokenClaims: () => ({ groups: ['readers'], team: 'search' }),
  });
}

async function askForToken(port: number, ca: Buffer, audience: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const authorization = `Basic ${Buffer.from(`${CLIENT.client_id}:${CLIENT.client_secret}`).toString('base64')}`;
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' };
  const options = {
    host: '127.0.0.1',
    servername: 'localhost',
    port,
    path: '/token',
    method: 'POST',
    ca,
    agent: false,
  };
  const sent = request({ ...options, headers: { ...headers, host: `localhost:${port}` } } as object, resolve);
  sent.on('error', reject);
  sent.end(
    new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', resource: `urn:${audience}` }).toString(),
  );
  const body: unknown = JSON.parse(await text(await promise));
  if (typeof body !== 'object' || body === null || !('access_token' in body) || typeof body.access_token !== 'string') {
    throw new Error(`no token: ${JSON.stringify(body)}`);
  }
  return body.access_token;
}

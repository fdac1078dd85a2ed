import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import type { TestGateway } from '../gateway.ts';
import { againOptions, keepSession } from './tls-again.ts';

/** An answer as it was on the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One HTTP/1.1 request over TLS on a connection of its own, headers written as they are. */
export function ask(
  gateway: Pick<TestGateway, 'ca'> & { readonly rest: { readonly port: number } },
  method: string,
  path: string,
  headers: Readonly<Record<string, string | string[]>> = {},
  body?: string | Uint8Array,
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const again = { port: gateway.rest.port, ca: gateway.ca, ALPNProtocols: ['http/1.1'] };
  const options = { host: 'localhost', port: gateway.rest.port, agent: false as const, ...againOptions(again) };
  const sent = request({ ...options, method, path, headers }, (response) => {
    const { statusCode = 0, headers: received } = response;
    text(response).then((read) => resolve({ status: statusCode, headers: received, body: read }), reject);
  });
  sent.on('socket', (socket) => keepSession(socket as TLSSocket, again));
  sent.on('error', reject).end(body);
  return promise;
}

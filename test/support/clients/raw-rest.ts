import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { TestGateway } from '../gateway.ts';

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
  body?: string,
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const options = { host: 'localhost', port: gateway.rest.port, ca: gateway.ca, agent: false as const };
  const sent = request({ ...options, method, path, headers }, (response) => {
    const { statusCode = 0, headers: received } = response;
    text(response).then((read) => resolve({ status: statusCode, headers: received, body: read }), reject);
  });
  sent.on('error', reject).end(body);
  return promise;
}

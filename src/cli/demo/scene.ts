import { isAbsolute, relative } from 'node:path';
import type { Config } from '../../config/schema.ts';
import type { Listening } from '../../gateway/gateway.ts';
import { listenUrl } from '../serve.ts';

/** The texts of a running demo: its addresses, its keys, and commands to try. */
export interface Scene {
  readonly config: Config;
  readonly rest: Listening;
  readonly grpc: Listening | null;
  /** File of the development CA; `null` = another certificate, or none. */
  readonly ca: string | null;
  readonly keys: readonly (readonly [name: string, key: string])[];
  readonly token: string;
  /** Address of the stand-in. */
  readonly standIn: string;
  /** Last lines: what to read and do next. */
  readonly next: readonly string[];
}

function shortPath(path: string): string {
  const short = relative('', path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}

function reachable(config: Config, listening: Listening): string {
  const everywhere = ['0.0.0.0', '::', '127.0.0.1'].includes(listening.host);
  return listenUrl(config, everywhere ? { ...listening, host: 'localhost' } : listening);
}

/** The scene for a person, with commands that do what is said above them. */
export function describeScene({ config, rest, grpc, ca, keys, token, standIn, next }: Scene): string {
  const curl = `curl -sS -i${ca === null ? '' : ` --cacert ${shortPath(ca)}`}`;
  const url = reachable(config, rest);
  const search = `-H 'content-type: application/json' -d '{"query":[0.2,0.1,0.9,0.7],"limit":2,"with_payload":true}'`;
  const withToken = `-H "api-key: $TOKEN"`;
  return [
    '',
    'No upstream is configured: this is a demo. What is protected here is an in-memory stand-in,',
    `unsecured, on ${standIn} (loopback only); its data ends with this process.`,
    '',
    `  REST             ${url}`,
    `  gRPC             ${grpc === null ? 'off' : reachable(config, grpc)}`,
    ...(ca === null ? [] : [`  CA file          ${shortPath(ca)}`]),
    ...keys.map(([name, key]) => `  ${name.padEnd(16)} ${key}`),
    '  token            read and write, collection `demo` only:',
    '',
    `TOKEN=${token}`,
    '',
    '# allowed: the token searches its own collection',
    `${curl} ${withToken} ${search} ${url}/collections/demo/points/query`,
    '',
    '# 401: no credential',
    `${curl} ${url}/collections`,
    '',
    '# 403: the token does not name this collection',
    `${curl} ${withToken} ${url}/collections/private`,
    '',
    ...next,
    '',
  ].join('\n');
}

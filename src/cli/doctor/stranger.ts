import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { connects } from '../../upstream/connects.ts';

/** Time limit of one question, in milliseconds. */
export const PATIENCE_MS = 2_000;
const MOST_BYTES = 65_536;

/** An address that strangers may ask. `host` has no brackets. */
export interface Address {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
}

/** An answer to a request without a credential. */
export interface StrangerAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** At most 64 KiB. */
  readonly body: string;
}

/** Trust in the certificate of the other side. */
export interface Trust {
  /** PEM; default: the CAs of the runtime. */
  readonly ca?: Buffer | undefined;
  /** `false` = any certificate. */
  readonly isVerified?: boolean;
}

/** `http://host:port` or `https://host`, without a path; `undefined` = another text. Ports by default: 80 and 443. */
export function parseAddress(text: string): Address | undefined {
  const [, scheme, bracketed, name, digits] =
    /^(https?):\/\/(?:\[([0-9a-fA-F:.]+)\]|([a-zA-Z0-9._-]+))(?::([0-9]{1,5}))?\/?$/i.exec(text) ?? [];
  const host = bracketed ?? name;
  if (scheme === undefined || host === undefined) return undefined;
  const tls = scheme.toLowerCase() === 'https';
  const port = digits === undefined ? (tls ? 443 : 80) : Number(digits);
  return port >= 1 && port <= 65_535 ? { tls, host, port } : undefined;
}

/** Asks without a credential. Resolves with the error code of the connection if there is no answer. */
export function askAsStranger(
  { tls, host, port }: Address,
  path: string,
  { ca, isVerified = true }: Trust = {},
): Promise<StrangerAnswer | { readonly failure: string }> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => resolve({ failure: error.code ?? 'no answer' });
    const send = tls ? overHttps : overHttp;
    const asked = send(
      // A connection of its own for each question.
      { host, port, path, method: 'GET', agent: false, ca, rejectUnauthorized: isVerified, timeout: PATIENCE_MS },
      (answer) => {
        const pieces: Buffer[] = [];
        let length = 0;
        const done = () => {
          clearTimeout(limit);
          const body = Buffer.concat(pieces).toString('utf8');
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body });
          answer.destroy();
        };
        answer.on('data', (piece: Buffer) => {
          pieces.push(piece);
          length += piece.length;
          if (length >= MOST_BYTES) done();
        });
        answer.on('end', done).on('error', failed);
      },
    );
    const limit = setTimeout(() => {
      asked.destroy();
      resolve({ failure: 'ETIMEDOUT' });
    }, PATIENCE_MS);
    asked.on('error', (error) => {
      clearTimeout(limit);
      failed(error);
    });
    asked.end();
  });
}

/** Does a TCP port take connections? */
export async function takesConnections(host: string, port: number): Promise<boolean> {
  const options = { connectTimeoutMs: PATIENCE_MS, ca: undefined, alpn: [] };
  return (await connects({ tls: false, host, port }, options)) === undefined;
}

/** The release in the answer of Qdrant to `GET /`; `undefined` = the answer is not that of a Qdrant. */
export function releaseIn(body: string): string | undefined {
  try {
    const { title, version } = Object(JSON.parse(body)) as { title?: unknown; version?: unknown };
    return typeof title === 'string' && /qdrant/i.test(title) && typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

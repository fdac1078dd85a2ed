import { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import buildConnector from 'undici/lib/core/connect.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import { AcmeFault } from './fault.ts';

/** Largest answer, in bytes: a chain of certificates has some kilobytes. */
const MAX_BYTES = 262_144;
const MAX_HEAD = 16_384;
/** For one whole answer, in milliseconds. */
const LIMIT_MS = 30_000;
const USER_AGENT = 'qdrant-gateway';

/** An answer of the certificate authority, of any status. */
export interface AcmeAnswer {
  readonly status: number;
  readonly body: string;
  /** @param name in lower case */
  readonly header: (name: string) => string | undefined;
  /** Targets of `link` headers, by relation. */
  readonly links: (relation: string) => readonly string[];
}

/** Sends one request. Follows no redirect. Rejects with `AcmeFault` if there is no answer. @param body JSON, sent by POST; default: none */
export type Ask = (method: 'GET' | 'HEAD' | 'POST', url: string, body?: string) => Promise<AcmeAnswer>;

export interface AskOptions {
  /** For one whole answer, in milliseconds. Default: 30 s. */
  readonly limitMs?: number;
  /** Ends what is being asked when it is aborted. Default: nothing does. */
  readonly signal?: AbortSignal;
}

/**
 * Connections to the certificate authority, over https only.
 *
 * @param ca PEM; `undefined` = the CAs of the runtime
 */
export function createAsk(ca: Buffer | undefined, { limitMs = LIMIT_MS, signal }: AskOptions = {}): Ask {
  return async (method, url, body) => {
    const { origin, pathname, search, protocol } = parsed(url);
    if (protocol !== 'https:')
      throw new AcmeFault('directory', 'the certificate authority named an address without TLS');
    const connect = buildConnector({ timeout: limitMs, allowH2: false, ...(ca === undefined ? {} : { ca }) });
    let socket: unknown;
    const pool = new Pool(origin, {
      ...{ connections: 1, pipelining: 1, maxHeaderSize: MAX_HEAD, allowH2: false },
      ...{ headersTimeout: limitMs, bodyTimeout: limitMs },
      connect(options, done) {
        // It returns the socket, which its types do not say.
        socket = connect(options, done);
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<AcmeAnswer>();
    const end = (): void => reject(new AcmeFault('directory', 'the question was ended'));
    signal?.throwIfAborted();
    signal?.addEventListener('abort', end, { once: true });
    const timer = setTimeout(() => reject(new AcmeFault('directory', `no answer within ${limitMs} ms`)), limitMs);
    const headers = [
      'user-agent',
      USER_AGENT,
      ...(body === undefined ? [] : ['content-type', 'application/jose+json']),
    ];
    pool.dispatch(
      { method, path: pathname + search, headers, ...(body === undefined ? {} : { body }) },
      collector(resolve, reject),
    );
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      pool.destroy().catch(() => undefined);
      // The pool leaves alone what is still connecting.
      if (socket instanceof Duplex) socket.destroy();
    }
  };
}

function parsed(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new AcmeFault('directory', 'the certificate authority named something that is no address');
  }
}

function collector(
  resolve: (answer: AcmeAnswer) => void,
  reject: (fault: AcmeFault) => void,
): Dispatcher.DispatchHandler {
  const chunks: Buffer[] = [];
  let size = 0;
  let status = 0;
  let headers: Readonly<Record<string, string | string[] | undefined>> = {};
  return {
    onRequestStart: () => undefined,
    onResponseStart(_controller, code, fields) {
      status = code;
      headers = fields;
    },
    onResponseData(controller, chunk) {
      size += chunk.length;
      if (size <= MAX_BYTES) {
        chunks.push(chunk);
        return;
      }
      const fault = new AcmeFault('directory', `the answer is larger than ${MAX_BYTES} bytes`);
      reject(fault);
      controller.abort(fault);
    },
    onResponseEnd: () => resolve(answerOf(status, headers, Buffer.concat(chunks).toString('utf8'))),
    onResponseError: (_controller, error) => reject(faultOf(error)),
  };
}

function answerOf(
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: string,
): AcmeAnswer {
  const all = (name: string): readonly string[] => [headers[name] ?? []].flat();
  return {
    status,
    body,
    header: (name) => all(name)[0],
    links: (relation) =>
      all('link')
        .flatMap((line) => line.split(/,\s*(?=<)/))
        .flatMap((link) => {
          const [, target, rel] = /^<([^>]*)>.*;\s*rel="?([\w-]+)"?/.exec(link) ?? [];
          return target !== undefined && rel === relation ? [target] : [];
        }),
  };
}

/** Codes of OpenSSL and Node that mean: the certificate of the directory is not of a trusted CA, or not for this host. */
const UNTRUSTED = /^(CERT_|ERR_TLS_CERT|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|HOSTNAME_MISMATCH)/;

/** The code of a connection's error, which is of the runtime and holds nothing of the peer. */
function faultOf(error: unknown): AcmeFault {
  if (error instanceof AcmeFault) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code !== undefined && UNTRUSTED.test(code)) {
    return new AcmeFault(
      'directory_ca',
      `the certificate of the directory is not trusted (${code}): see \`gateway.acme.directory_ca\``,
    );
  }
  return new AcmeFault('directory', `the connection failed${code === undefined ? '' : ` (${code})`}`);
}

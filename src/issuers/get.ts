import type { Dispatcher } from 'undici';
import buildConnector from 'undici/lib/core/connect.js';
import Pool from 'undici/lib/dispatcher/pool.js';

/** A question to an identity provider. */
export interface GetOptions {
  /** As `readKeyUrl` gives it. */
  readonly url: string;
  /** PEM; `undefined` = the CAs of the runtime. */
  readonly ca: string | undefined;
  /** Sent as bearer token; `undefined` = none. */
  readonly bearer: string | undefined;
  /** Longest answer. */
  readonly maxBytes: number;
  /** For the whole answer, in milliseconds. */
  readonly limitMs: number;
}

/** A question that was not answered as it should be. The message holds nothing of the answer. */
export class KeyFetchFault extends Error {
  override readonly name = 'KeyFetchFault';
}

const MAX_HEAD = 16_384;

/**
 * Asks once, over a connection of its own, and follows no redirect.
 *
 * @throws KeyFetchFault for any other answer than 200 with a body of at most `maxBytes`
 */
export function get({ url, ca, bearer, maxBytes, limitMs }: GetOptions): Promise<Buffer> {
  const headers = [
    'accept',
    'application/json',
    ...(bearer === undefined ? [] : ['authorization', `Bearer ${bearer}`]),
  ];
  return exchange({ url, ca, limitMs }, { method: 'GET', headers }, (resolve, reject) =>
    collector(maxBytes, resolve, reject, notWhole),
  );
}

/** A request of a client of an identity provider. */
export interface AskOptions extends Omit<GetOptions, 'bearer'> {
  readonly method: 'GET' | 'POST';
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** A whole answer. */
export interface Asked {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/**
 * Asks once, as `get` does, and takes every status but a redirect.
 *
 * @throws KeyFetchFault without an answer, or for one with more than `maxBytes`
 */
export function ask({ method, url, ca, headers, body, maxBytes, limitMs }: AskOptions): Promise<Asked> {
  let status = 0;
  let contentType = '';
  const whole = exchange(
    { url, ca, limitMs },
    { method, headers, ...(body !== undefined && { body }) },
    (resolve, reject) =>
      collector(maxBytes, resolve, reject, (code, fields) => {
        status = code;
        contentType = String(fields['content-type'] ?? '');
        return code >= 300 && code < 400 ? `it answered ${code}, and redirects are not followed` : undefined;
      }),
  );
  return whole.then((answer) => ({ status, contentType, body: answer }));
}

type Handler = (resolve: (body: Buffer) => void, reject: (fault: KeyFetchFault) => void) => Dispatcher.DispatchHandler;

/** One request over a connection of its own, which ends with it. */
function exchange(
  { url, ca, limitMs }: Pick<GetOptions, 'url' | 'ca' | 'limitMs'>,
  request: Pick<Dispatcher.DispatchOptions, 'method' | 'headers' | 'body'>,
  handler: Handler,
): Promise<Buffer> {
  const { origin, pathname, search } = new URL(url);
  const pool = new Pool(origin, {
    ...{ connections: 1, pipelining: 1, maxHeaderSize: MAX_HEAD, allowH2: false },
    ...{ headersTimeout: limitMs, bodyTimeout: limitMs },
    connect: buildConnector({ timeout: limitMs, allowH2: false, ...(ca === undefined ? {} : { ca }) }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const timer = setTimeout(() => reject(new KeyFetchFault('no answer in time')), limitMs);
  pool.dispatch({ ...request, path: pathname + search }, handler(resolve, reject));
  return promise.finally(() => {
    clearTimeout(timer);
    pool.destroy().catch(() => undefined);
  });
}

/** Only 200 is an answer. */
function notWhole(status: number): string | undefined {
  if (status === 200) return undefined;
  return `it answered ${status}${status >= 300 && status < 400 ? ', and redirects are not followed' : ''}`;
}

function collector(
  maxBytes: number,
  resolve: (body: Buffer) => void,
  reject: (fault: KeyFetchFault) => void,
  refuses: (status: number, headers: Readonly<Record<string, unknown>>) => string | undefined,
): Dispatcher.DispatchHandler {
  const chunks: Buffer[] = [];
  let size = 0;
  const refuse = (controller: Dispatcher.DispatchController, why: string): void => {
    const fault = new KeyFetchFault(why);
    reject(fault);
    controller.abort(fault);
  };
  return {
    onRequestStart: () => undefined,
    onResponseStart(controller, status, headers) {
      if (status < 200) return;
      const why = refuses(status, headers);
      if (why !== undefined) refuse(controller, why);
      else if (headers['content-encoding'] !== undefined)
        refuse(controller, 'it answered with a compression that was not asked for');
    },
    onResponseData(controller, chunk) {
      size += chunk.length;
      if (size > maxBytes) refuse(controller, `the answer is larger than ${maxBytes} bytes`);
      else chunks.push(chunk);
    },
    onResponseEnd: () => resolve(Buffer.concat(chunks)),
    onResponseError: (_controller, error) => reject(new KeyFetchFault(reasonOf(error))),
  };
}

/** The code of a connection's error, which is of the runtime and holds nothing of the peer. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return code === undefined ? 'the connection failed' : `the connection failed (${code})`;
}

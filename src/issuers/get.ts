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
  const { origin, pathname, search } = new URL(url);
  const pool = new Pool(origin, {
    ...{ connections: 1, pipelining: 1, maxHeaderSize: MAX_HEAD, allowH2: false },
    ...{ headersTimeout: limitMs, bodyTimeout: limitMs },
    connect: buildConnector({ timeout: limitMs, allowH2: false, ...(ca === undefined ? {} : { ca }) }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const timer = setTimeout(() => reject(new KeyFetchFault('no answer in time')), limitMs);
  const headers = [
    'accept',
    'application/json',
    ...(bearer === undefined ? [] : ['authorization', `Bearer ${bearer}`]),
  ];
  pool.dispatch({ method: 'GET', path: pathname + search, headers }, collector(maxBytes, resolve, reject));
  return promise.finally(() => {
    clearTimeout(timer);
    pool.destroy().catch(() => undefined);
  });
}

function collector(
  maxBytes: number,
  resolve: (body: Buffer) => void,
  reject: (fault: KeyFetchFault) => void,
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
      if (status !== 200)
        refuse(
          controller,
          `it answered ${status}${status >= 300 && status < 400 ? ', and redirects are not followed' : ''}`,
        );
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

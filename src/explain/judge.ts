import type { ExchangeParts } from '../exchange/exchange.ts';
import { begin } from '../exchange/steps.ts';
import { checkHead } from '../rest/server/head.ts';
import { type Caller, type Presented, present } from './caller.ts';
import type { Ending, OfflineExchange } from './exchange.ts';
import { grpcExchange, grpcLane } from './grpc-lane.ts';
import type { OfflineParts } from './parts.ts';
import { restExchange, restLane } from './rest-lane.ts';

/** A request to be judged. Headers are name, value, name, value, one character per byte. */
export type AskedRequest =
  | {
      readonly protocol: 'rest';
      readonly method: string;
      /** Path and query, as they are sent. */
      readonly target: string;
      readonly headers: readonly string[];
      readonly body: Buffer;
    }
  | {
      readonly protocol: 'grpc';
      /** `/package.Service/Method`. */
      readonly path: string;
      readonly headers: readonly string[];
      /** The message, without prefix. */
      readonly message: Buffer;
    };

/** A request that has been judged by the steps of the server. */
export interface Judged {
  readonly kind: 'judged';
  readonly request: AskedRequest;
  readonly exchange: OfflineExchange;
  readonly ending: Ending;
  /** The headers with which it was judged, credential included. */
  readonly headers: readonly string[];
  /** Set = a fault of the gateway, which refuses. */
  readonly fault: unknown;
}

/** A head that the server answers before it becomes an exchange. */
export interface HeadRefused {
  readonly kind: 'head';
  readonly status: number;
  readonly message: string;
}

/** Judges one request. Rejects with `UnknownCaller` for a caller that is not there. */
export async function judge(parts: OfflineParts, request: AskedRequest, caller: Caller): Promise<Judged | HeadRefused> {
  return judgeAs(parts, request, await present(caller, parts));
}

/** Judges one request of a caller that is presentable. */
export async function judgeAs(
  parts: OfflineParts,
  request: AskedRequest,
  presented: Presented,
): Promise<Judged | HeadRefused> {
  const headers = presented.kind === 'headers' ? [...presented.headers, ...request.headers] : request.headers;
  if (request.protocol === 'rest') {
    const head = { httpVersionMajor: 1, httpVersionMinor: 1, target: request.target, host: '' };
    const own = headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'host') ? [] : ['host', 'localhost'];
    const { header_count: most } = parts.state.config.gateway.limits;
    const refused = checkHead({ ...head, headers: [...own, ...headers] }, most);
    if (refused) return { kind: 'head', ...refused };
  }
  let fault: unknown;
  const authenticate: ExchangeParts['authenticate'] | undefined =
    presented.kind === 'identity' ? () => presented.identity : undefined;
  const noted: ExchangeParts['fault'] = (error) => {
    fault = error;
  };
  const own = parts.forOne({ fault: noted, ...(authenticate && { authenticate }) });
  const exchange = await run(parts, own, request, headers);
  const { ending } = exchange;
  if (!ending) throw new TypeError('a request was judged without an end');
  return { kind: 'judged', request, exchange, ending, headers, fault };
}

function run(
  { state: { config }, assumptions }: OfflineParts,
  own: ExchangeParts,
  request: AskedRequest,
  headers: readonly string[],
): Promise<OfflineExchange> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { remote } = assumptions;
  if (request.protocol === 'grpc') {
    const exchange = grpcExchange({ requestTarget: request.path, headers, remote }, framed(request.message), resolve);
    begin(own, grpcLane(own, config, assumptions), exchange);
    return promise.then(() => exchange);
  }
  const { method, target: requestTarget, body } = request;
  const head = { requestTarget, headers: withLength(headers, body), remote, hasBody: body.length > 0 };
  const exchange = restExchange(method, head, body, resolve);
  begin(own, restLane(own, config, assumptions), exchange);
  return promise.then(() => exchange);
}

/** As a client sends it: limits on bytes take the length of the body. */
function withLength(headers: readonly string[], body: Buffer): readonly string[] {
  const told = headers.some((name, at) => at % 2 === 0 && /^(content-length|transfer-encoding)$/i.test(name));
  return told || body.length === 0 ? headers : [...headers, 'content-length', String(body.length)];
}

const PREFIX_BYTES = 5;

/** The message as a stream carries it: flag, length, bytes. */
export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

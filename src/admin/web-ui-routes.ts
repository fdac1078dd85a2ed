import httpProxy from '@fastify/http-proxy';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Console } from '../console/server/console.ts';
import { otherOrigin } from '../console/server/same-origin.ts';
import { CONSOLE_PATH, oneHeader, WEB_UI_PATH } from '../exchange/console-request.ts';
import { say } from './answers.ts';
import { consoleRequestOf } from './console-routes.ts';
import { type Port, portSocket } from './own-rest-port.ts';

const API_PREFIX = `${CONSOLE_PATH}/qdrant`;
/** Its files name each other by this path, wherever the page is. */
const FILES_PREFIX = '/dashboard';

export interface WebUiOptions {
  readonly console: Console;
  readonly tls: boolean;
  /** The gateway's own REST port; `undefined` = it is not open. */
  readonly restPort: () => Port | undefined;
  /** A token for the session of a request; `undefined` = there is none. */
  readonly tokenFor: (signedIn: NonNullable<Awaited<ReturnType<Console['signedIn']>>>) => Promise<string | undefined>;
  readonly fault: (error: unknown) => void;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for a request that is sent on for a session. */
    consoleToken?: string;
  }
}

/** Headers of a client that are sent on. INVARIANT: no credential, no cookie, and nothing that says who the client is. */
const SENT_ON: ReadonlySet<string> = new Set([
  ...[
    'accept',
    'accept-encoding',
    'accept-language',
    'content-type',
    'content-length',
    'content-encoding',
    'content-range',
  ],
  ...['user-agent', 'if-none-match', 'if-modified-since', 'range', 'x-request-id', 'x-inference-proxy'],
]);
/** Headers of an answer that are left out. */
const LEFT_OUT = /^(?:set-cookie|access-control-.*|connection|keep-alive|x-frame-options|content-security-policy)$/;

/** Of the Web UI: its own files, the styles that it writes, workers of its editor; nothing from elsewhere. */
const PAGE_POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');
/** Of everything else: data, never a page. */
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox";

/**
 * Adds Qdrant's Web UI behind the login of the console. Each request goes to the gateway's own REST port, with a short token for its
 * session in the place of a credential: every check, limit and line of the audit applies to it as to any other.
 */
export function addWebUiRoutes(app: FastifyInstance, options: WebUiOptions): void {
  for (const [prefix, rewritePrefix, methods] of [
    [API_PREFIX, '', ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']],
    [FILES_PREFIX, FILES_PREFIX, ['GET', 'HEAD']],
  ] as const) {
    void app.register(async (scope) => {
      // Bodies pass as they come.
      scope.removeAllContentTypeParsers();
      await scope.register(httpProxy, {
        ...{ prefix, rewritePrefix, upstream: 'http://gateway.invalid', websocket: false },
        httpMethods: [...methods],
        config: { guard: { token: 'none' } },
        disableRequestLogging: true,
        undici: {
          connect: (_: unknown, done: Connected) => connect(options, done),
          connections: 64,
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        preHandler: async (request, reply) => await admit(request, reply, options),
        replyOptions: {
          retriesCount: 0,
          rewriteRequestHeaders: (request, headers) => sentOn(request as FastifyRequest, headers),
          rewriteHeaders: (headers, request) => shown(headers, (request as FastifyRequest).raw.url ?? ''),
          onError: (reply: unknown, { error }: { error: Error }) => {
            options.fault(error);
            void say(reply as FastifyReply, 502, 'the REST port does not answer');
          },
        },
      });
    });
  }
}

type Connected = (...answer: [Error, null] | [null, Awaited<ReturnType<typeof portSocket>>]) => void;

function connect({ restPort }: WebUiOptions, done: Connected): void {
  portSocket(restPort()).then(
    (socket) => done(null, socket),
    (error: Error) => done(error, null),
  );
}

/** Checks a request before anything of it is sent on. */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  options: WebUiOptions,
): Promise<FastifyReply | undefined> {
  const asked = consoleRequestOf(request, options.tls);
  const { target, method } = asked;
  const [path = ''] = target.split('?', 1);
  const reads = method === 'GET' || method === 'HEAD';
  if (request.headers.upgrade !== undefined) return await say(reply, 501, 'no other protocol is spoken here');
  // INVARIANT: what is sent on is what was received; a path that a parser of URLs would change is refused.
  if (isOddPath(path))
    return await say(reply, 400, 'the path has empty or dot segments, backslashes or control characters');
  // The router reads escapes; and paths of the gateway's own are no part of Qdrant.
  const isPlain = path.startsWith(`${API_PREFIX}/`) || path.startsWith(`${FILES_PREFIX}/`);
  if (!isPlain || path.startsWith(`${API_PREFIX}/-`)) return await say(reply, 404, 'there is no such page');
  const isPage = reads && path === WEB_UI_PATH;
  const typed = isPage && oneHeader(asked, 'sec-fetch-site') === 'none';
  const foreign = typed ? undefined : otherOrigin(asked, !reads);
  if (foreign !== undefined) return await say(reply, 403, foreign);
  const signedIn = await options.console.signedIn(asked);
  if (!signedIn) {
    return isPage ? await reply.redirect(`${CONSOLE_PATH}/`, 303) : await say(reply, 401, 'you are not signed in');
  }
  const token = await options.tokenFor(signedIn);
  if (token === undefined) return await say(reply, 403, 'no token can be made for this session');
  request.consoleToken = token;
  // A search or an upload may take longer than a page of this port.
  request.raw.socket.setTimeout(0);
  return undefined;
}

/** True = a parser of URLs would read it otherwise: WHATWG URL, 4.4, path state. */
function isOddPath(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\\\x00-\x20\x7f-\uffff"<>^`{}#]/.test(path) || /\/(?:\/|(?:\.|%2e){1,2}(?:\/|$))/i.test(path);
}

function sentOn(request: FastifyRequest, headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (SENT_ON.has(name) && typeof value === 'string') kept[name] = value;
  if (request.consoleToken === undefined) throw new TypeError('a request is sent on without a session');
  // `localhost` is served by every listener.
  return { ...kept, host: 'localhost', 'api-key': request.consoleToken, 'x-forwarded-for': request.ip };
}

function shown(headers: Readonly<Record<string, unknown>>, url: string): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (LEFT_OUT.test(name)) continue;
    if (typeof value === 'string' || Array.isArray(value)) kept[name] = value as string | string[];
  }
  const isFile = url.startsWith(`${FILES_PREFIX}/`) || url.split('?', 1)[0] === WEB_UI_PATH;
  return {
    ...kept,
    'content-security-policy': isFile ? PAGE_POLICY : DATA_POLICY,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
}

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SAFE_HEADERS } from '../console/server/answers.ts';
import type { Console } from '../console/server/console.ts';
import {
  CONSOLE_PATH,
  type ConsoleAnswer,
  type ConsoleRequest,
  isConsoleTarget,
  MAX_CONSOLE_BODY,
} from '../exchange/console-request.ts';
import { say } from './answers.ts';

/**
 * Adds the console. Its requests reach it as they were received: Fastify matches only the prefix, and the console compares the path
 * whole. They need no bearer token: the console has a login of its own.
 */
export function addConsoleRoutes(app: FastifyInstance, pages: Console, tls: boolean): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_CONSOLE_BODY }, (_request, body, done) =>
      done(null, body),
    );
    scope.setErrorHandler(async (error: FastifyError, _request, reply) => {
      if (error.code !== 'FST_ERR_CTP_BODY_TOO_LARGE') throw error;
      return await say(reply, 413, `body: at most ${MAX_CONSOLE_BODY} bytes`);
    });
    const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const asked = consoleRequestOf(request, tls);
      // INVARIANT: Fastify may have read the path otherwise.
      const answered: ConsoleAnswer = isConsoleTarget(asked.target)
        ? await pages.answer(asked)
        : { status: 404, headers: [], body: '' };
      return await sendAnswer(reply, answered);
    };
    for (const url of [CONSOLE_PATH, `${CONSOLE_PATH}/*`]) {
      scope.route({ method: ['GET', 'HEAD', 'POST'], url, config: { guard: { token: 'none' } }, handler: answer });
    }
  });
}

/** Headers of the console, for an answer below its path that is not its own. */
export function setSafeHeaders(reply: FastifyReply): void {
  setHeaders(reply, SAFE_HEADERS);
}

/** A request to the admin port, as the console reads it. */
export function consoleRequestOf({ raw, body, ip, headers, method }: FastifyRequest, tls: boolean): ConsoleRequest {
  return {
    ...{ port: 'admin', method, tls, remote: ip },
    target: raw.url ?? '',
    headers: raw.rawHeaders,
    host: headers.host,
    body: body instanceof Uint8Array ? body : new Uint8Array(),
  };
}

async function sendAnswer(reply: FastifyReply, { status, headers, body }: ConsoleAnswer): Promise<FastifyReply> {
  reply.code(status);
  setHeaders(reply, headers);
  return await reply.send(typeof body === 'string' ? Buffer.from(body) : body);
}

function setHeaders(reply: FastifyReply, headers: readonly string[]): void {
  for (let at = 0; at + 1 < headers.length; at += 2) reply.header(headers[at] ?? '', headers[at + 1]);
}

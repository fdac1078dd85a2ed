import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Console } from '../console/server/console.ts';
import {
  CONSOLE_PATH,
  type ConsoleAnswer,
  type ConsoleRequest,
  isConsoleTarget,
  MAX_CONSOLE_BODY,
} from '../exchange/console-request.ts';

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
  for (let at = 0; at + 1 < headers.length; at += 2) reply.header(headers[at] ?? '', headers[at + 1]);
  return await reply.send(typeof body === 'string' ? Buffer.from(body) : body);
}

import { type IncomingMessage, METHODS, type Server, type ServerResponse } from 'node:http';
import fastify from 'fastify';
import { endBegun } from '../begun-exchange.ts';
import { isClosing } from '../headers.ts';
import { answerRaw } from '../http1/parser-fault.ts';
import { takeOddRequest } from '../http1/request-gate.ts';
import type { LaneOptions } from '../options.ts';
import type { RestLane } from './lane.ts';

/** HTTP/1 on the server transport: requests that `node:http` has read the head of. */
export interface FastifyLane {
  /** Takes one request. Never throws. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly close: () => Promise<void>;
}

/**
 * Fastify carries the request to its `onRequest` hook and no further: no body parser, no router, no serializer ever
 * sees it. The target is hidden from the router so that none of its rules for paths can apply.
 *
 * @param server the HTTP/1 server Fastify is to be built on; not listened on here
 */
export async function createFastifyLane(options: LaneOptions, lane: RestLane, server: Server): Promise<FastifyLane> {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    serverFactory: () => server,
    rewriteUrl: () => '/',
    // Unreadable requests are answered by the server's own listener (`parser-fault.ts`).
    clientErrorHandler: () => undefined,
  });
  app.removeAllContentTypeParsers();
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);
  app.addHook('onRequest', (request, reply, _done) => {
    reply.hijack();
    lane.takeHttp1(request.raw, reply.raw, request.originalUrl);
  });
  app.route({ method: [...app.supportedMethods], url: '/', handler: () => undefined });
  await app.ready();

  function carry(request: IncomingMessage, response: ServerResponse): void {
    const odd = takeOddRequest(request.socket);
    if (isClosing(request.socket)) return;
    if (!isKnownVersion(request)) {
      options.connections?.fault('head');
      answerRaw(request.socket, 400, '', (error, place) => options.parts.fault(error, undefined, place));
      return;
    }
    response.on('error', ignore);
    request.on('error', ignore);
    try {
      if (!odd && app.supportedMethods.includes(request.method ?? '')) {
        app.routing(request, response);
        return;
      }
      options.connections?.fault('head');
      // A request line with two readings, or one that was not followed to its beginning, ends the connection.
      if (odd) response.shouldKeepAlive = false;
      lane.refuse(request, response, odd ? 400 : 501, '');
    } catch (error) {
      // INVARIANT: nothing a client sends ends the process; what cannot even be refused is cut.
      options.parts.fault(error, undefined, 'rest_server');
      response.destroy();
    }
  }

  return {
    handle(request, response) {
      carry(request, response);
      endBegun(request.socket, options.parts, response.headersSent ? response.statusCode : undefined);
    },
    close: async () => {
      await app.close();
    },
  };
}

/**
 * INVARIANT: what calls itself HTTP/2 on an HTTP/1 connection is neither: Node's parser lets any version through, and the
 * checks of framing go by it.
 */
function isKnownVersion({ httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' || httpVersion === '1.0';
}

function ignore(): void {}

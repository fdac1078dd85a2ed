import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  errorAnswer,
  FORM_TOO_LARGE,
  INTERNAL_ERROR,
  MAX_FORM_BYTES,
  type TokenAnswer,
} from '../token-endpoint/answers.ts';
import { TOKEN_PATH, type TokenRequest } from '../token-endpoint/endpoint.ts';
import { checkHead, type TokenHead } from '../token-endpoint/request.ts';
import { slowed } from './slowed.ts';

/** Parts of the source that the token endpoint uses. */
export interface TokenSource {
  /** True = the policy in force exchanges tokens. */
  readonly exchangesTokens: () => boolean;
  readonly exchangeToken: (request: TokenRequest) => Promise<TokenAnswer>;
  readonly fault: (error: unknown) => void;
}

type Missing = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** Adds the token endpoint. It needs no token of the admin port: the credential in the body is what it answers to. */
export function addTokenRoute(app: FastifyInstance, source: TokenSource, missing: Missing): void {
  void app.register(async (scope) => {
    // The body is a form, which the endpoint reads itself; of any other type it says so.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_FORM_BYTES }, (_request, body, done) =>
      done(null, body),
    );
    scope.setErrorHandler(async (error: { readonly code?: string }, _request, reply) => {
      if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return await send(reply, errorAnswer(FORM_TOO_LARGE));
      source.fault(error);
      return await send(reply, errorAnswer(INTERNAL_ERROR));
    });
    scope.route({
      method: [...scope.supportedMethods],
      url: TOKEN_PATH,
      config: { guard: { token: 'none' } },
      onRequest: async (request, reply) => {
        if (!source.exchangesTokens()) return await missing(request, reply);
        const wrong = checkHead(headOf(request));
        return wrong && (await send(reply, errorAnswer(wrong)));
      },
      handler: async (request, reply) => {
        const body = request.body instanceof Uint8Array ? request.body : new Uint8Array();
        const asked = { ...headOf(request), body, remote: request.ip, tracingId: randomUUID(), port: 'admin' } as const;
        const answer = await source.exchangeToken(asked);
        if (answer.status >= 400) await slowed(request.raw.socket);
        return await send(reply, answer);
      },
    });
  });
}

function headOf({ method, raw }: FastifyRequest): TokenHead {
  return { method, headers: raw.rawHeaders, hasQuery: raw.url?.includes('?') ?? false };
}

async function send(reply: FastifyReply, { status, headers, body }: TokenAnswer): Promise<FastifyReply> {
  reply.code(status);
  for (let at = 0; at + 1 < headers.length; at += 2) reply.header(headers[at] ?? '', headers[at + 1]);
  return await reply.send(body);
}

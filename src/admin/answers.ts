import type { FastifyReply, FastifyRequest } from 'fastify';

/** Answers with an error text. */
export function say(reply: FastifyReply, status: number, error: string): FastifyReply {
  return reply.code(status).send({ error });
}

/** True = the request has parameters in its query. */
export function hasQuery(request: FastifyRequest): boolean {
  return Object.keys(Object(request.query)).length > 0;
}

/** True = no body, or an object without members. */
export function isEmpty(body: unknown): boolean {
  if (body === undefined || body === null) return true;
  return typeof body === 'object' && !Array.isArray(body) && Object.keys(body).length === 0;
}

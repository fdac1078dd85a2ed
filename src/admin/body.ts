import type { FastifyInstance } from 'fastify';
import { JsonReader } from '../json/reader.ts';
import { repeatsMember } from '../json/repeats-member.ts';

/** `code` of the error for a body with a repeated member. */
export const REPEATED_MEMBER = 'ADMIN_REPEATED_MEMBER';

/** Reads JSON bodies by RFC 8259. INVARIANT: a repeated member is refused: which of its values is meant cannot be known. */
export function readBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const fault = faultOf(body);
    if (fault) done(fault);
    else parse(request, body.toString('utf8'), done);
  });
}

/** @returns an error without a text of the body */
function faultOf(body: Buffer): Error | undefined {
  // The parser behind has an answer of its own to an empty body.
  if (body.length === 0) return undefined;
  try {
    const reader = new JsonReader(body);
    const repeats = repeatsMember(reader);
    reader.end();
    return repeats ? refusal(REPEATED_MEMBER) : undefined;
  } catch {
    return refusal('ADMIN_NOT_JSON');
  }
}

const refusal = (code: string): Error => Object.assign(new Error('body'), { statusCode: 400, code });

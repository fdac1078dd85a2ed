import type { Rewriting } from '../policy/tenants/rewriting.ts';
import { isTenantRequest } from '../rest/tenants/request.ts';

/** The request that goes upstream for a tenant, in a form for people. */
export interface SentInstead {
  /** REST: method and path; gRPC: the method. */
  readonly request: string;
  /** REST: the body; gRPC: the message in hexadecimal digits. */
  readonly body: string;
  /** Questions that the gateway asks before: points that must exist for the tenant. */
  readonly checks?: readonly { readonly collection: string; readonly ids: readonly string[] }[];
  /** The change of the answer. */
  readonly answer?: string;
}

/** The request of a rewriting; `undefined` = the client's own is sent. */
export function sentInstead(rewriting: Rewriting | undefined): SentInstead | undefined {
  if (!rewriting) return undefined;
  const { request, checks, answer } = rewriting;
  return {
    ...formOf(request),
    ...(checks.length > 0 && { checks: checks.map(({ collection, ids }) => ({ collection, ids: ids.map(String) })) }),
    ...(answer && { answer: answer.kind }),
  };
}

function formOf(request: unknown): Pick<SentInstead, 'request' | 'body'> {
  if (isTenantRequest(request)) {
    const { method, path, body } = request;
    return { request: `${method} ${path}`, body: body ? Buffer.from(body).toString('utf8') : '' };
  }
  if (isCall(request)) return { request: request.path, body: request.message.toString('hex') };
  throw new TypeError('a request was made anew in an unknown form');
}

function isCall(request: unknown): request is { readonly path: string; readonly message: Buffer } {
  return typeof request === 'object' && request !== null && 'message' in request && Buffer.isBuffer(request.message);
}

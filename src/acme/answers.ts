import { z } from 'zod';
import { printable } from '../text/printable.ts';
import { AcmeFault, type AcmeFaultKind } from './fault.ts';
import type { AcmeAnswer } from './transport.ts';

/* Objects of RFC 8555, as far as they are used, and its problems. */

const PREFIX = 'urn:ietf:params:acme:error:';
/** Most characters of a text of the certificate authority in a message. */
const MOST_DETAIL = 300;
/** Longest time a certificate authority may ask to wait, in milliseconds: a week. */
const MOST_WAIT_MS = 7 * 86_400_000;

const problem = z.object({ type: z.string().optional(), detail: z.string().optional() });

export const directoryShape = z.object({
  newNonce: z.string(),
  newAccount: z.string(),
  newOrder: z.string(),
  renewalInfo: z.string().optional(),
});
export type Directory = z.output<typeof directoryShape>;

export const orderShape = z.object({
  status: z.enum(['pending', 'ready', 'processing', 'valid', 'invalid']),
  authorizations: z.array(z.string()).max(200),
  finalize: z.string(),
  certificate: z.string().optional(),
  error: problem.optional(),
});
export type Order = z.output<typeof orderShape>;

export const authorizationShape = z.object({
  status: z.enum(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: z.object({ type: z.string(), value: z.string() }),
  challenges: z
    .array(
      z.object({
        type: z.string(),
        url: z.string().optional(),
        token: z.string().optional(),
        status: z.string().optional(),
        error: problem.optional(),
      }),
    )
    .max(20),
});
export type Authorization = z.output<typeof authorizationShape>;

/** RFC 9773 section 4.2. */
export const renewalShape = z.object({ suggestedWindow: z.object({ start: z.string(), end: z.string() }) });

/** An object of the certificate authority. Throws `AcmeFault` if it is none of this shape. */
export function read<T>(shape: z.ZodType<T>, text: string, what: string): T {
  const parsed = shape.safeParse(json(text));
  if (!parsed.success) throw new AcmeFault('directory', `the certificate authority's ${what} cannot be read`);
  return parsed.data;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const KINDS: Readonly<Record<string, AcmeFaultKind>> = {
  rateLimited: 'rate_limited',
  accountDoesNotExist: 'account',
  externalAccountRequired: 'account',
  userActionRequired: 'account',
  invalidContact: 'account',
  unsupportedContact: 'account',
  unauthorized: 'account',
  serverInternal: 'directory',
  badNonce: 'directory',
};

/** The fault of an answer with a status of 400 and more. @param now milliseconds since 1970 */
export function faultOf(answer: AcmeAnswer, now: number): AcmeFault {
  const found = problem.safeParse(json(answer.body));
  const type = found.success ? typeOf(found.data.type) : undefined;
  const detail = found.success && found.data.detail ? `: ${shown(found.data.detail)}` : '';
  const busy = answer.status === 429 ? 'rate_limited' : answer.status >= 500 ? 'directory' : 'refused';
  const kind = KINDS[type ?? ''] ?? busy;
  return new AcmeFault(kind, `the certificate authority answered ${answer.status}${type ? ` ${type}` : ''}${detail}`, {
    notBefore: retryAfter(answer, now),
    type,
  });
}

/** The problem of an object as a text: type and detail. */
export function problemText(found: z.output<typeof problem> | undefined): string {
  if (!found) return 'no reason was given';
  return [typeOf(found.type), found.detail && shown(found.detail)].filter(Boolean).join(': ') || 'no reason was given';
}

function typeOf(type: string | undefined): string | undefined {
  if (type === undefined) return undefined;
  return shown(type.startsWith(PREFIX) ? type.slice(PREFIX.length) : type);
}

function shown(text: string): string {
  return printable(text.length > MOST_DETAIL ? `${text.slice(0, MOST_DETAIL)}...` : text);
}

/** The time of a `retry-after` header, in milliseconds since 1970; `undefined` = there is none. At most a week ahead. */
export function retryAfter(answer: AcmeAnswer, now: number): number | undefined {
  const text = answer.header('retry-after');
  if (text === undefined) return undefined;
  const at = /^\d{1,9}$/.test(text) ? now + Number(text) * 1000 : Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.min(at, now + MOST_WAIT_MS);
}

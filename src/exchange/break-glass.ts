import { type Denial, REASON_REQUIRED } from '../policy/denial.ts';
import type { Exchange } from './exchange.ts';
import { refusedKeyOf } from './refused-key.ts';

/*
 * Break-glass keys: named keys for an emergency. They live for hours, each request with one says why, and every use is told.
 */

/** The header, or metadata, with the reason of a request with a break-glass key. Exactly one, in UTF-8. Never sent upstream. */
export const REASON_HEADER = 'x-qdrant-gateway-reason';

/** Longest reason that is kept, in characters; the rest is cut. */
const MAX_REASON = 255;

/** Characters that end a line, change the direction of text or cannot be seen. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\s]+/gu;

/**
 * The reason in the headers of a request, cleaned: one line, at most 255 characters. `undefined` = there is none, or it
 * is given more than once, or what is kept of it has neither a letter nor a digit.
 *
 * @param headers name, value, name, value, one character per byte
 */
export function reasonIn(headers: readonly string[]): string | undefined {
  let found: string | undefined;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== REASON_HEADER) continue;
    if (found !== undefined) return undefined;
    found = headers[at + 1];
  }
  return found === undefined ? undefined : cleaned(found);
}

function cleaned(bytes: string): string | undefined {
  const text = Buffer.from(bytes, 'latin1').toString('utf8').replace(UNSEEN, ' ').trim();
  const characters = Array.from(text);
  const kept = characters.length <= MAX_REASON ? text : `${characters.slice(0, MAX_REASON - 1).join('')}…`;
  return /[\p{L}\p{N}]/u.test(kept) ? kept : undefined;
}

/** The refusal of a request with a break-glass key that does not say why. `undefined` = it does. */
export function withoutReason({ headers }: Exchange): Denial | undefined {
  return reasonIn(headers) === undefined ? REASON_REQUIRED : undefined;
}

/** True = a break-glass key was presented, also one that may not be used. */
export function isBreakGlass(exchange: Exchange): boolean {
  const { principal } = exchange;
  return (principal ?? refusedKeyOf(exchange))?.breakGlass === true;
}

import { createHmac } from 'node:crypto';
import { KEYS } from './gateway.ts';

/** Access a collection-scoped token may carry. */
export type Mode = 'r' | 'rw' | 'prw';

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * An HS256 token over the claims as they are, made without the code under test.
 *
 * @param secret the admin key of the test gateway when left out
 */
export function makeToken(claims: object, secret: string = KEYS.admin): string {
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** A token that lists one collection. */
export function collectionToken(mode: Mode, collection: string): string {
  return makeToken({ access: [{ collection, access: mode }] });
}

/** Whole seconds since 1970, as `exp` counts. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

import { createHmac } from 'node:crypto';
import { COLLECTION } from '../load/messages.ts';

const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url');

/** A token of these claims; many times faster than going through a library and promises. */
export function tokenOf(claims: object, secret: string): string {
  const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** Tokens with global read access that differ in their subject. */
export function manyTokens(count: number, secret: string): string[] {
  return Array.from({ length: count }, (_, id) => tokenOf({ access: 'r', subject: `user-${id}` }, secret));
}

/** A token with read access to so many collections; the one that requests name is the last. */
export function tokenOfCollections(count: number, secret: string): string {
  const names = Array.from({ length: count - 1 }, (_, id) => `c${id}`);
  return tokenOf({ access: [...names, COLLECTION].map((collection) => ({ collection, access: 'r' })) }, secret);
}

import type { Access, CollectionMode, GlobalMode } from '../../../src/policy/access.ts';
import { forge } from '../../identity/forge.ts';
import { KEYS } from '../gateway.ts';

/** One header; a request without a credential has none. */
export type CredentialHeader = readonly [name: 'api-key' | 'authorization', value: string];

/** What a principal of a case file may do; `null` = it is not accepted at all. */
export type Grant = GlobalMode | Readonly<Record<string, CollectionMode>> | null;

const NOW = 1_700_000_000;

/** An HS256 token with these claims, by the admin key unless another secret is given. */
export function tokenOf(claims: object, secret: string = KEYS.admin): string {
  return forge({ claims, secret }, NOW, KEYS.admin);
}

/** The principals that are no plain key and no plain `access` claim, or that are not accepted. */
const SPECIAL: Readonly<Record<string, { readonly key?: string; readonly token?: string }>> = {
  none: {},
  wrong: { key: 'not-the-key-0123456789' },
  'wrong-key': { key: 'not-the-key-0123456789' },
  admin: { key: KEYS.admin },
  alt: { key: KEYS.alt },
  'alt-admin': { key: KEYS.alt },
  'read-only': { key: KEYS.readOnly },
  'jwt-expired': { token: tokenOf({ exp: 1, access: 'm' }) },
  'jwt-bad-signature': { token: tokenOf({ access: 'm' }, 'some-other-secret-0123456789') },
  'jwt-no-access': { token: tokenOf({ sub: 'someone' }) },
  'jwt-m-alt-secret': { token: tokenOf({ access: 'm' }, KEYS.alt) },
};

function tokenOfGrant(grant: Exclude<Grant, null>): string {
  if (typeof grant === 'string') return tokenOf({ access: grant });
  return tokenOf({ access: Object.entries(grant).map(([collection, access]) => ({ collection, access })) });
}

/**
 * The credential of a principal of a case file: keys as `api-key`, tokens as Bearer.
 *
 * @param reversed keys as Bearer and tokens as `api-key`, which upstream takes as well
 */
export function credentialOf(principal: string, grant: Grant, reversed = false): readonly CredentialHeader[] {
  const special = SPECIAL[principal];
  const token = special ? special.token : grant === null ? undefined : tokenOfGrant(grant);
  const text = special?.key ?? token;
  if (text === undefined) {
    if (principal !== 'none') throw new TypeError(`no credential is known for the principal \`${principal}\``);
    return [];
  }
  const asKey = (special?.key !== undefined) !== reversed;
  return [asKey ? ['api-key', text] : ['authorization', `Bearer ${text}`]];
}

/** The access a grant stands for. */
export function accessOf(grant: Exclude<Grant, null>): Access {
  return typeof grant === 'string'
    ? { kind: 'global', mode: grant }
    : { kind: 'list', modes: new Map(Object.entries(grant)) };
}

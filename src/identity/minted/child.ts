import { type Access, GLOBAL_MANAGE } from '../../policy/access.ts';
import { accessOfNamed } from '../../policy/minting/named-access.ts';
import { narrow } from '../../policy/narrow.ts';
import type { Principal } from '../principal.ts';
import type { SourceReference } from './reference.ts';

/** The bound of a minted token beside its source. @param claimed its claim `access` */
export function boundOf({ bound }: SourceReference, claimed: Access): Access {
  if (bound === 'claim') return claimed;
  return bound === 'source' ? GLOBAL_MANAGE : accessOfNamed(bound);
}

/**
 * The principal of a minted token: that of its source in everything (rules, limits, tenants, names in the audit log), with at
 * most the access of the bound.
 *
 * @param id the token's `jti`
 */
export function childOf(source: Principal, bound: Access, id: string): Principal {
  const access = narrow(source.access, bound);
  return Object.freeze({ ...source, access, authType: 'Jwt', minted: Object.freeze({ id, source }) });
}

import type { Authenticator } from '../../identity/authenticate.ts';
import { GRPC_OPERATIONS } from '../../operations/grpc.ts';
import { REST_OPERATIONS } from '../../operations/rest.ts';
import { isTrusted, seesAll } from '../../policy/access.ts';
import { OPERATION_GROUPS } from '../../policy/operation-groups.ts';
import { leavesAll } from '../../policy/rules.ts';

const READS = new Set([...(OPERATION_GROUPS.read ?? []), 'list_collections']);

/** The caller that a credential names, as far as an operator's page needs it. Plain data. */
export type IdentifiedCaller =
  | {
      readonly ok: true;
      /** `full`: manages everything; `read`: reads everything, snapshots aside; `none`: anything less. */
      readonly role: 'full' | 'read' | 'none';
      /** The key that authenticated it or signed its token. */
      readonly keyId: string;
      /** The name of a named key. */
      readonly keyName: string | undefined;
      readonly subject: string | undefined;
      /** True = a token, signed by the key. */
      readonly isToken: boolean;
    }
  | {
      readonly ok: false;
      /** `open`: no key is set, so that a credential says nothing. `wrong`: it was refused. `unknown`: it cannot be said now. */
      readonly why: 'open' | 'wrong' | 'unknown';
    };

/** The operations that read points and collections. A rule that takes one away leaves no reader of everything. */
const READING = [...REST_OPERATIONS, ...GRPC_OPERATIONS].filter(
  ({ name, audit }) => READS.has(name) || (typeof audit === 'string' && READS.has(audit)),
);

/**
 * Identifies a credential whole, as a request with it would be.
 *
 * INVARIANT: `full` is manage over everything without a restriction that a change made elsewhere would pass by: no rule of
 * operations, no tenant, no break-glass key, no token that stands for another credential.
 */
export async function identifyCaller(
  authenticator: Pick<Authenticator, 'authenticate' | 'isOpen'>,
  credential: string,
  remote: string,
): Promise<IdentifiedCaller> {
  if (authenticator.isOpen()) return { ok: false, why: 'open' };
  const identity = await authenticator.authenticate(['api-key', credential], undefined, remote);
  if (identity.kind === 'denial') return { ok: false, why: identity.status >= 500 ? 'unknown' : 'wrong' };
  const { access, bounds, tenancy, breakGlass, minted, keyId, key, subject, authType } = identity;
  const narrowed = bounds?.enforced.some(({ operations, denied }) => operations !== undefined || denied !== undefined);
  const plain = tenancy === undefined && breakGlass === undefined && minted === undefined;
  const reads = plain && seesAll(access) && (bounds === undefined || leavesAll(bounds, READING));
  const role = !reads ? 'none' : isTrusted(access) && narrowed !== true ? 'full' : 'read';
  return { ok: true, role, keyId, keyName: key?.name, subject, isToken: authType === 'Jwt' };
}

import { KEYS } from '../gateway.ts';
import { collectionToken, makeToken } from '../tokens.ts';
import type { Needs } from './tutorial.ts';

/** A caller that runs the tutorial: a credential, and why each kind of step is refused (steps not named are allowed). */
export interface Caller {
  readonly name: string;
  readonly credential: string;
  readonly refusals: Readonly<Partial<Record<Needs, string>>>;
}

const GLOBAL = 'Forbidden: Global access is required';
const GLOBAL_MANAGE = 'Forbidden: Global manage access is required';
const WRITE = 'Forbidden: Write access to collection cities is required';
const POINTS_ONLY = 'Forbidden: Only points access is allowed for collection cities';
const FOREIGN = 'Forbidden: Access to collection private is required';
const UNLISTED = 'Forbidden: Access to collection cities is required';

const readOnly = { write: GLOBAL_MANAGE, 'write with extras': GLOBAL_MANAGE, manage: GLOBAL_MANAGE };
const unlisted = {
  read: UNLISTED,
  'read with extras': UNLISTED,
  write: UNLISTED,
  'write with extras': UNLISTED,
  manage: GLOBAL,
};

/** Every kind of credential there is, with upstream's texts (Qdrant v1.18.3). The tokens list `cities`. */
export const CALLERS: readonly Caller[] = [
  { name: 'the admin key', credential: KEYS.admin, refusals: {} },
  { name: 'the alternative key', credential: KEYS.alt, refusals: {} },
  { name: 'a token with global manage', credential: makeToken({ access: 'm' }), refusals: {} },
  { name: 'a token without claims', credential: makeToken({}), refusals: {} },
  { name: 'a token signed with the alternative key', credential: makeToken({ access: 'm' }, KEYS.alt), refusals: {} },
  { name: 'the read-only key', credential: KEYS.readOnly, refusals: readOnly },
  { name: 'a token with global read', credential: makeToken({ access: 'r' }), refusals: readOnly },
  {
    name: 'an r token',
    credential: collectionToken('r', 'cities'),
    refusals: { write: WRITE, 'write with extras': WRITE, manage: GLOBAL, foreign: FOREIGN },
  },
  {
    name: 'an rw token',
    credential: collectionToken('rw', 'cities'),
    refusals: { manage: GLOBAL, foreign: FOREIGN },
  },
  {
    name: 'a prw token',
    credential: collectionToken('prw', 'cities'),
    refusals: {
      'read with extras': POINTS_ONLY,
      'write with extras': POINTS_ONLY,
      manage: GLOBAL,
      foreign: FOREIGN,
    },
  },
  { name: 'a token of another collection', credential: collectionToken('rw', 'private'), refusals: unlisted },
  {
    name: 'a token with an empty list',
    credential: makeToken({ access: [] }),
    refusals: { ...unlisted, foreign: FOREIGN },
  },
];

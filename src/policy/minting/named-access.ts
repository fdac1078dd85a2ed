import { type Access, type CollectionMode, GLOBAL_MANAGE, GLOBAL_READ, type GlobalMode, grantsOn } from '../access.ts';

/* An access in the form that minted tokens and requests for them name: of everything, or of single collections, byte for byte. */

/** Plain data. */
export type NamedAccess = GlobalMode | readonly (readonly [collection: string, mode: CollectionMode])[];

/** The access of this form. */
export function accessOfNamed(named: NamedAccess): Access {
  if (named === 'm') return GLOBAL_MANAGE;
  if (named === 'r') return GLOBAL_READ;
  return Object.freeze({ kind: 'list', modes: new Map(named) });
}

/** The form of an access; `undefined` = it depends on more than single collections. */
export function namedOfAccess(access: Access): NamedAccess | undefined {
  if (access.kind === 'global') return access.mode;
  return access.kind === 'list' ? [...access.modes] : undefined;
}

/** True = a global access that has this mode. */
export function hasGlobally(access: Access, mode: GlobalMode): boolean {
  return access.kind === 'global' && (mode === 'r' || access.mode === 'm');
}

/**
 * True = the access has this mode on the collection. A grant that is bound to operations has any: what is narrowed by the mode keeps
 * that bound.
 */
export function hasMode(access: Access, collection: string, mode: CollectionMode): boolean {
  switch (access.kind) {
    case 'global':
      return access.mode === 'm' || mode === 'r';
    case 'list':
      return includes(access.modes.get(collection), mode);
    case 'grants':
      return grantsOn(access, collection).some((grant) => grant.operations !== undefined || includes(grant.mode, mode));
    default:
      return access.parts.every((part) => hasMode(part, collection, mode));
  }
}

/** The modes that each mode includes. */
const INCLUDED: Readonly<Record<CollectionMode, readonly CollectionMode[]>> = {
  r: ['r', 'pr'],
  rw: ['rw', 'r', 'prw', 'pr'],
  prw: ['prw', 'pr'],
  pr: ['pr'],
};

function includes(own: CollectionMode | undefined, asked: CollectionMode): boolean {
  return own !== undefined && INCLUDED[own].includes(asked);
}

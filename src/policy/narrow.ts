import type { Access, CollectionMode, GlobalAccess, GrantAccess, JointAccess, ListAccess } from './access.ts';

type PlainAccess = GlobalAccess | ListAccess;

/** The intersection of two accesses: it permits exactly what both permit. */
export function narrow(left: Access, right: Access): Access {
  if (isPlain(left) && isPlain(right)) return narrowPlain(left, right);
  const grants = new Set([...grantsOf(left), ...grantsOf(right)]);
  let plain: PlainAccess | undefined;
  for (const part of [...plainOf(left), ...plainOf(right)]) plain = plain ? narrowPlain(plain, part) : part;
  const parts = plain && !(plain.kind === 'global' && plain.mode === 'm') ? [plain, ...grants] : [...grants];
  const [only] = parts;
  return parts.length === 1 && only ? only : Object.freeze({ kind: 'joint', parts: Object.freeze(parts) });
}

function isPlain(access: Access): access is PlainAccess {
  return access.kind === 'global' || access.kind === 'list';
}

function partsOf(access: Access): JointAccess['parts'] {
  return access.kind === 'joint' ? access.parts : [access];
}

function plainOf(access: Access): readonly PlainAccess[] {
  return partsOf(access).filter(isPlain);
}

function grantsOf(access: Access): readonly GrantAccess[] {
  return partsOf(access).filter((part) => part.kind === 'grants');
}

function narrowPlain(left: PlainAccess, right: PlainAccess): PlainAccess {
  if (left.kind === 'global' && right.kind === 'global') return left.mode === 'r' ? left : right;
  if (left.kind === 'global') return right.kind === 'list' && left.mode === 'r' ? readingOnly(right) : right;
  if (right.kind === 'global') return right.mode === 'r' ? readingOnly(left) : left;
  const modes = new Map<string, CollectionMode>();
  for (const [name, mode] of left.modes) {
    const other = right.modes.get(name);
    if (other !== undefined) modes.set(name, narrowMode(mode, other));
  }
  return Object.freeze({ kind: 'list', modes });
}

function readingOnly(access: ListAccess): ListAccess {
  const modes = new Map([...access.modes].map(([name, mode]) => [name, narrowMode(mode, 'r')] as const));
  return Object.freeze({ kind: 'list', modes });
}

/** The modes as flags, beside reading points. */
const PARTS: Readonly<Record<CollectionMode, { readonly write: boolean; readonly extras: boolean }>> = {
  r: { write: false, extras: true },
  rw: { write: true, extras: true },
  prw: { write: true, extras: false },
  pr: { write: false, extras: false },
};

function narrowMode(left: CollectionMode, right: CollectionMode): CollectionMode {
  const write = PARTS[left].write && PARTS[right].write;
  const extras = PARTS[left].extras && PARTS[right].extras;
  if (write) return extras ? 'rw' : 'prw';
  return extras ? 'r' : 'pr';
}

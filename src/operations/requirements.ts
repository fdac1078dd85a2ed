import type { Requirements } from '../policy/operation.ts';

/** Requirements of the rows of the access matrix, by name. */

export const open: Requirements = { scope: 'public', level: 'read', extras: false };
export const authenticated: Requirements = { scope: 'authenticated', level: 'read', extras: false };
export const listed: Requirements = { scope: 'list', level: 'read', extras: false };
export const globalRead: Requirements = { scope: 'global', level: 'read', extras: false };
export const globalReadExtras: Requirements = { scope: 'global', level: 'read', extras: true };
export const globalWrite: Requirements = { scope: 'global', level: 'write', extras: false };
export const globalManage: Requirements = { scope: 'global', level: 'manage', extras: false };
export const read: Requirements = { scope: 'collection', level: 'read', extras: false };
export const readExtras: Requirements = { scope: 'collection', level: 'read', extras: true };
export const write: Requirements = { scope: 'collection', level: 'write', extras: false };
export const writeExtras: Requirements = { scope: 'collection', level: 'write', extras: true };
export const manageExtras: Requirements = { scope: 'collection', level: 'manage', extras: true };

import { randomUUID } from 'node:crypto';
import { type AuditEvent, bounded } from './event.ts';
import type { AuditEventCode } from './event-codes.ts';

/** The change that an action makes. */
const EVENTS = {
  gateway_reload: 'reloaded',
  gateway_revoke: 'revoked',
  gateway_revoke_lift: 'revocation_lifted',
  gateway_key_create: 'key_created',
  gateway_key_rotate: 'key_rotated',
  gateway_key_disable: 'key_disabled',
  gateway_key_enable: 'key_enabled',
  gateway_key_expire: 'key_expiry_set',
  gateway_key_delete: 'key_deleted',
  gateway_key_change: 'key_changed',
  gateway_keys_change: 'keys_changed',
  gateway_node_drain: 'node_drained',
  gateway_node_undrain: 'node_undrained',
  gateway_token_mint: 'token_made',
  gateway_policy_write: 'policy_written',
  gateway_console_login: 'console_login',
  gateway_console_logout: 'console_logout',
  gateway_console_session_end: 'console_session_ended',
} as const satisfies Readonly<Record<string, AuditEventCode>>;

/**
 * An administrative action through the admin port or the console: done, failed, or refused for lack of the token; or a change of named keys
 * or a revocation that came in force from elsewhere. Plain data.
 */
export interface AdminAct {
  readonly method: keyof typeof EVENTS;
  /** Empty = unknown. */
  readonly remote: string;
  /** The store that a change was found in; `undefined` = it was asked for through the admin port. */
  readonly by?: 'keys_file' | 'keys_redis' | 'revocations';
  /** `not in force`: it was written, but this gateway does not decide by it. */
  readonly result: 'ok' | 'not in force' | 'failed' | 'denied';
  /** The named key that was changed, or was to be; its name is not known if there is none. */
  readonly target?: { readonly id: string; readonly name?: string };
  /** Numbers of changes of named keys that have no act of their own. */
  readonly changedKeys?: readonly (Pick<AdminAct, 'method' | 'ended'> & { readonly count: number })[];
  /** True = the key has ended with the change. */
  readonly ended?: boolean;
  /** The token, subject or key that was revoked or is not any more, or the time in seconds since 1970. `more`: the number of further ones. */
  readonly revoked?: { readonly kind: string; readonly value: string | number; readonly subject?: string | undefined };
  /** The node that was drained or taken in again, or was to be. */
  readonly node?: string;
  /** The token that was made: its `jti`, its end in seconds since 1970 (absent = it never ends), its access, subject and signing key. */
  readonly token?: {
    readonly id: string;
    readonly exp?: number;
    readonly scope?: string;
    readonly subject?: string;
    readonly key?: string;
  };
  /** Revisions of the policy: of the text that was written or was to be, and of the file before. */
  readonly policy?: { readonly revision: string; readonly former: string };
  /** The session of the console that was opened or ended; `name` of its caller, where another one ended it. */
  readonly session?: { readonly id: string; readonly name?: string };
  /** The caller of the console that made it: id of the key, or `oidc`; the subject of a token or a person. */
  readonly console?: {
    readonly kind: 'key' | 'token' | 'person';
    readonly keyId: string;
    readonly name: string;
    readonly subject?: string | undefined;
  };
  /** End of the action in milliseconds since 1970, and its duration. */
  readonly at: number;
  readonly durationMs: number;
}

const ERRORS = {
  ok: undefined,
  'not in force': 'written, but not in force on this gateway',
  failed: 'not carried out',
  denied: 'the bearer token of the admin port is needed',
};

/** The audit event of an administrative action. */
export function actEvent(act: AdminAct): AuditEvent {
  const { method, remote, result, at, durationMs, console: by } = act;
  const known = result !== 'denied';
  const done = result === 'ok' || result === 'not in force';
  const error = refusesLogin(act) ? 'the login was refused' : ERRORS[result];
  return {
    timestamp: new Date(at).toISOString(),
    method,
    auth_type: known && !act.by ? (by && by.kind !== 'key' ? 'Jwt' : 'ApiKey') : 'None',
    ...(by?.subject === undefined ? {} : { subject: bounded(by.subject) }),
    ...(remote === '' ? {} : { remote }),
    tracing_id: randomUUID(),
    result: known ? 'ok' : 'denied',
    ...(error === undefined ? {} : { error }),
    id: randomUUID(),
    ...(known ? { key: bounded(act.by ?? by?.keyId ?? 'admin_token') } : {}),
    ...(by?.kind === 'key' && by.name !== by.keyId ? { key_name: bounded(by.name) } : {}),
    operation: method.replace('_', '.'),
    ...(by || isConsole(method) ? { via: 'console' } : {}),
    ...(done ? { event: eventOf(act) } : refusesLogin(act) ? { event: 'console_login_failed' } : {}),
    ...targetOf(act),
    upstream_status: null,
    duration_ms: Math.round(durationMs * 1000) / 1000,
    bytes_in: 0,
    bytes_out: 0,
  };
}

/** The members that name the target of the action. */
function targetOf(act: AdminAct): Partial<AuditEvent> {
  const { target, changedKeys, node, revoked, token, policy, session, at } = act;
  return {
    ...(target ? { target_key: bounded(target.id) } : {}),
    ...(target?.name === undefined ? {} : { target_key_name: bounded(target.name) }),
    ...(changedKeys ? { changed_keys: numbersOf(changedKeys) } : {}),
    ...(revoked ? { revoked: toldOf(revoked) } : {}),
    ...(node === undefined ? {} : { target_node: bounded(node) }),
    ...(token ? { minted: madeOf(token, at) } : {}),
    ...(policy ? { target_policy: policy.revision, former_policy: policy.former } : {}),
    ...(session ? { target_session: session.id } : {}),
    ...(session?.name === undefined ? {} : { target_session_name: bounded(session.name) }),
  };
}

const isConsole = (method: AdminAct['method']): boolean => method.startsWith('gateway_console_');

/** True = a login with a key that was refused. */
const refusesLogin = ({ method, result }: AdminAct): boolean => isConsole(method) && result === 'denied';

function eventOf({ method, ended }: Pick<AdminAct, 'method' | 'ended'>): AuditEventCode {
  return ended ? 'key_expired' : EVENTS[method];
}

function madeOf(token: NonNullable<AdminAct['token']>, at: number): NonNullable<AuditEvent['minted']> {
  const { id, exp, scope, subject, key } = token;
  return {
    token_id: id,
    expires_at: exp === undefined ? 'never' : new Date(exp * 1000).toISOString(),
    ...(exp !== undefined && { lifetime: exp - Math.floor(at / 1000) }),
    ...(scope !== undefined && { scope: bounded(scope) }),
    ...(subject !== undefined && { subject: bounded(subject) }),
    ...(key !== undefined && { key: bounded(key) }),
  };
}

function numbersOf(changes: NonNullable<AdminAct['changedKeys']>): NonNullable<AuditEvent['changed_keys']> {
  return Object.fromEntries(changes.map((change) => [eventOf(change), change.count]));
}

function toldOf({ kind, value, subject }: NonNullable<AdminAct['revoked']>): NonNullable<AuditEvent['revoked']> {
  const told = typeof value === 'number' ? new Date(value * 1000).toISOString() : bounded(value);
  return { kind, value: told, ...(subject !== undefined && { subject: bounded(subject) }) };
}

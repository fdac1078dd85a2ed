import { randomUUID } from 'node:crypto';
import { type AuditEvent, bounded } from './event.ts';

/** The change that an action makes. */
const EVENTS = {
  gateway_reload: 'reloaded',
  gateway_revoke: 'revoked',
  gateway_key_create: 'key_created',
  gateway_key_rotate: 'key_rotated',
  gateway_key_disable: 'key_disabled',
  gateway_key_enable: 'key_enabled',
  gateway_key_expire: 'key_expiry_set',
  gateway_key_delete: 'key_deleted',
  gateway_node_drain: 'node_drained',
  gateway_node_undrain: 'node_undrained',
} as const;

/** Stable codes of changes. */
export type ActEvent = (typeof EVENTS)[keyof typeof EVENTS];

/** An administrative action through the admin port: done, failed, or refused for lack of the token. Plain data. */
export interface AdminAct {
  readonly method: keyof typeof EVENTS;
  readonly remote: string;
  /** `not in force`: it was written, but this gateway does not decide by it. */
  readonly result: 'ok' | 'not in force' | 'failed' | 'denied';
  /** The named key that was changed. */
  readonly target?: { readonly id: string; readonly name: string };
  /** The node that was drained, or taken in again. */
  readonly node?: string;
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
export function actEvent({ method, remote, result, target, node, at, durationMs }: AdminAct): AuditEvent {
  const known = result !== 'denied';
  const done = result === 'ok' || result === 'not in force';
  const error = ERRORS[result];
  return {
    timestamp: new Date(at).toISOString(),
    method,
    auth_type: known ? 'ApiKey' : 'None',
    remote,
    tracing_id: randomUUID(),
    result: known ? 'ok' : 'denied',
    ...(error === undefined ? {} : { error }),
    id: randomUUID(),
    ...(known ? { key: 'admin_token' } : {}),
    operation: method.replace('_', '.'),
    ...(done ? { event: EVENTS[method] } : {}),
    ...(target ? { target_key: bounded(target.id), target_key_name: bounded(target.name) } : {}),
    ...(node === undefined ? {} : { target_node: bounded(node) }),
    upstream_status: null,
    duration_ms: Math.round(durationMs * 1000) / 1000,
    bytes_in: 0,
    bytes_out: 0,
  };
}

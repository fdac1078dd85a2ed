import { randomUUID } from 'node:crypto';
import type { AuditEvent } from './event.ts';

/** An administrative action through the admin port: done, failed, or refused for lack of the token. Plain data. */
export interface AdminAct {
  readonly method: 'gateway_reload' | 'gateway_revoke';
  readonly remote: string;
  readonly result: 'ok' | 'failed' | 'denied';
  /** End of the action in milliseconds since 1970, and its duration. */
  readonly at: number;
  readonly durationMs: number;
}

const ERRORS = { ok: undefined, failed: 'not carried out', denied: 'the bearer token of the admin port is needed' };

/** The audit event of an administrative action. */
export function actEvent({ method, remote, result, at, durationMs }: AdminAct): AuditEvent {
  const known = result !== 'denied';
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
    upstream_status: null,
    duration_ms: Math.round(durationMs * 1000) / 1000,
    bytes_in: 0,
    bytes_out: 0,
  };
}

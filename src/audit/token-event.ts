import { randomUUID } from 'node:crypto';
import type { ExchangeOutcome } from '../token-endpoint/endpoint.ts';
import { type AuditEvent, bounded, boundedLong, certificateNames } from './event.ts';

/** An exchange that has ended, and when. */
export type TokenAct = ExchangeOutcome & {
  /** Milliseconds since 1970. */
  readonly at: number;
};

/** The audit event of an exchange of a credential for a token. */
export function tokenEvent({
  request,
  result,
  status,
  principal,
  minted,
  certificate,
  error,
  denial,
  received,
  sent,
  durationMs,
  at,
}: TokenAct): AuditEvent {
  const { remote, tracingId, port } = request;
  const key = principal?.key ?? denial?.key;
  return {
    timestamp: new Date(at).toISOString(),
    method: 'gateway_token_exchange',
    auth_type: principal?.authType ?? 'None',
    subject: principal?.subject === undefined ? undefined : bounded(principal.subject),
    ...(remote === '' ? {} : { remote }),
    tracing_id: tracingId,
    result: result === 'minted' ? 'ok' : 'denied',
    error: error === undefined ? undefined : boundedLong(error),
    id: randomUUID(),
    key: principal?.keyId ?? denial?.key?.id,
    key_name: key?.name,
    key_owner: key?.owner,
    certificate: certificateNames(certificate),
    operation: 'gateway.token_exchange',
    protocol: port === 'rest' ? 'rest' : undefined,
    event: result === 'minted' ? 'token_minted' : 'token_refused',
    minted: minted && {
      token_id: minted.id,
      expires_at: new Date(minted.exp * 1000).toISOString(),
      lifetime: minted.lifetime,
      ...(minted.scope !== undefined && { scope: boundedLong(minted.scope) }),
    },
    code: denial?.code,
    status,
    upstream_status: null,
    duration_ms: Math.round(durationMs * 1000) / 1000,
    bytes_in: received,
    bytes_out: sent,
  };
}

import { bounded } from '../audit/event.ts';
import { isBreakGlass, reasonIn } from '../exchange/break-glass.ts';
import type { Exchange, Outcome } from '../exchange/exchange.ts';
import { refusedKeyOf } from '../exchange/refused-key.ts';
import { tracingIdOf } from '../exchange/request-id.ts';

/** A request as the log tells it. The names are those of the audit log; no field holds a credential. */
export interface ExchangeFields {
  readonly protocol: Exchange['protocol'];
  readonly operation: string | undefined;
  readonly collection: string | undefined;
  readonly code: string | undefined;
  /** Of the policy: the rule, guard or limit that refused, or that was passed. */
  readonly rule: string | undefined;
  readonly key: string | undefined;
  readonly key_name: string | undefined;
  readonly subject: string | undefined;
  readonly remote: string;
  readonly status: number | undefined;
  /** Of a request with a break-glass key; `null` = it gave none. */
  readonly reason?: string | null;
  /** The id in the header `x-request-id` of the answer, and in the audit log. */
  readonly tracing_id: string;
}

/** The fields of an exchange that has ended. Texts of the caller are bounded. */
export function exchangeFields(exchange: Exchange, { status }: Outcome): ExchangeFields {
  const { protocol, principal, resolution, shadowed, references, refusal, remote } = exchange;
  const refused = refusal ?? shadowed?.denial;
  const refusedKey = refusedKeyOf(exchange);
  const collection = resolution?.target.kind === 'collection' ? resolution.target.name : references?.target;
  const subject = principal?.subject;
  return {
    protocol,
    operation: resolution?.operation.name,
    collection: collection === undefined ? undefined : bounded(collection),
    code: refused?.code,
    rule: refused?.reached?.limit ?? shadowed?.rule ?? exchange.rail ?? exchange.passedRail,
    key: principal?.keyId ?? refusedKey?.id,
    key_name: (principal?.key ?? refusedKey)?.name,
    subject: subject === undefined ? undefined : bounded(subject),
    remote,
    status,
    ...(isBreakGlass(exchange) && { reason: reasonIn(exchange.headers) ?? null }),
    tracing_id: tracingIdOf(exchange),
  };
}

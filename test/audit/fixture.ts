import type { AuditEvent } from '../../src/audit/event.ts';
import { toLine } from '../../src/audit/event.ts';
import type { AuditEntry } from '../../src/audit/sinks/sink.ts';
import { type Exchange, unbegun } from '../../src/exchange/exchange.ts';
import { PATIENCE_MS } from '../support/patience.ts';

/** A moment all tests share. */
export const NOON = Date.UTC(2026, 10, 25, 12, 0, 0);

/** An event with little in it. @param number tells it from others */
export function eventOf(number: number, more: Partial<AuditEvent> = {}): AuditEvent {
  return {
    timestamp: new Date(NOON + number).toISOString(),
    method: 'query_points',
    api: '/collections/a/points/query',
    auth_type: 'ApiKey',
    tracing_id: `t-${number}`,
    result: 'ok',
    id: `test-${number}`,
    operation: 'points.query',
    upstream_status: 200,
    duration_ms: 1.5,
    bytes_in: 10,
    bytes_out: 20,
    ...more,
  };
}

/** The entry of such an event. */
export function entryOf(number: number, more: Partial<AuditEvent> = {}): AuditEntry {
  const event = eventOf(number, more);
  return { event, line: toLine(event) };
}

/** So many entries, from 1 on. */
export function entries(count: number, from = 1): readonly AuditEntry[] {
  return Array.from({ length: count }, (_, index) => entryOf(from + index));
}

/** An exchange of the REST protocol at which nothing has happened. */
export function exchangeOf(more: Partial<Exchange> = {}): Exchange {
  return {
    protocol: 'rest',
    requestTarget: '/collections/a/points/query',
    headers: [],
    remote: '192.0.2.1',
    resolution: undefined,
    principal: undefined,
    ...unbegun(),
    hasBody: false,
    ...more,
  };
}

/** Waits until something holds; throws after `PATIENCE_MS`. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = AbortSignal.timeout(PATIENCE_MS);
  while (!(await holds())) {
    if (end.aborted) throw new Error(`waited for ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The events of whole lines. */
export function parseLines(text: string): readonly AuditEvent[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditEvent);
}

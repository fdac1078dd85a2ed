import { hostname } from 'node:os';
import type { AuditEvent } from '../event.ts';
import type { AuditEntry } from './sink.ts';

/* Messages of RFC 5424, framed for TCP by octet counting (RFC 6587 section 3.4.1). */

const FACILITY_AUDIT = 13;
const SEVERITY = { warning: 4, informational: 6 } as const;
const APP_NAME = 'qdrant-gateway';
/** Marks the text as UTF-8 (RFC 5424 section 6.4). */
const BOM = '\uFEFF';

/** Header fields common to all messages of this process. */
export interface SyslogOrigin {
  readonly host: string;
  readonly processId: number;
}

/** The origin of this process. */
export function syslogOrigin(): SyslogOrigin {
  return { host: printable(hostname(), 255), processId: process.pid };
}

/** One message without framing. Refusals have the severity warning. */
export function syslogMessage({ event, line }: AuditEntry, { host, processId }: SyslogOrigin): Buffer {
  const priority = FACILITY_AUDIT * 8 + severityOf(event);
  return Buffer.from(`<${priority}>1 ${event.timestamp} ${host} ${APP_NAME} ${processId} audit - ${BOM}${line}`);
}

function severityOf({ result }: AuditEvent): number {
  return result === 'denied' ? SEVERITY.warning : SEVERITY.informational;
}

/** A framed message: its length in bytes, a space, the message. */
export function octetCounted(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

function printable(text: string, most: number): string {
  return text.replace(/[^\x21-\x7e]/g, '').slice(0, most) || '-';
}

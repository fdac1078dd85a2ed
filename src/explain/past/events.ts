import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { AuditEvent } from '../../audit/event.ts';

/** The members of an audit event that say what was asked, by whom, and what came of it. */
export type PastEvent = Pick<
  AuditEvent,
  | 'timestamp'
  | 'method'
  | 'api'
  | 'auth_type'
  | 'subject'
  | 'remote'
  | 'collection'
  | 'tracing_id'
  | 'result'
  | 'error'
  | 'id'
  | 'key'
  | 'mappings'
  | 'operation'
  | 'protocol'
  | 'collections'
  | 'collections_left_out'
  | 'code'
  | 'rule'
  | 'would_deny'
>;

/** Reads the requests in audit files, one line at a time. Lines that are no events are counted. */
export class PastEvents {
  readonly #files: readonly string[];
  /** Lines that are no JSON, or no event of a request. */
  unread = 0;

  constructor(files: readonly string[]) {
    this.#files = files;
  }

  /** Each event with its place, `file:line`. Rejects if a file cannot be read. */
  async *all(): AsyncGenerator<{ readonly event: PastEvent; readonly place: string }> {
    for (const file of this.#files) {
      let line = 0;
      for await (const text of createInterface({
        input: createReadStream(file),
        crlfDelay: Number.POSITIVE_INFINITY,
      })) {
        line += 1;
        const event = eventOf(text);
        if (event) yield { event, place: `${file}:${line}` };
        else if (text !== '') this.unread += 1;
      }
    }
  }
}

/** The event of a line; `undefined` = it is none of a request. */
function eventOf(line: string): PastEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isEvent(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** True = the event of a request. */
export function isEvent(value: unknown): value is PastEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { id, operation, result, protocol, auth_type: type, timestamp } = value as Partial<PastEvent>;
  const { collections = [], mappings = [] } = value as Partial<PastEvent>;
  const texts = [id, operation, type, timestamp].every((one) => typeof one === 'string');
  const lists = [collections, mappings].every(
    (all) => Array.isArray(all) && all.every((one) => typeof one === 'string'),
  );
  return texts && lists && (result === 'ok' || result === 'denied') && (protocol === 'rest' || protocol === 'grpc');
}

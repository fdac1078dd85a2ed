import { type ChangeKind, kindOf } from '../diff/changes.ts';
import { verdictText } from '../diff/groups.ts';
import type { OfflineParts } from '../parts.ts';
import { AskedAgain } from './again.ts';
import type { PastEvents } from './events.ts';

/** Past requests that change alike. Plain data. */
export interface ReplayGroup {
  readonly kind: ChangeKind;
  /**
   * False = the log does not tell the access of the token, and not every access that it may have changes; or its issuer or mappings
   * differ, so that it may have another one.
   */
  readonly sure: boolean;
  readonly key: string;
  readonly subject?: string;
  /** Of a caller whose claims were mapped, or of the certificate beside its key. */
  readonly mappings?: readonly string[];
  readonly operation: string;
  readonly collections: readonly string[];
  /** Verdicts in words. */
  readonly from: string;
  readonly to: string;
  readonly requests: number;
  readonly first: string;
  readonly last: string;
  /** Request id of the last one. */
  readonly request_id: string;
}

/** The result of a replay. */
export interface Replay {
  readonly requests: number;
  readonly changed: number;
  /** Requests whose credential was refused: they are not asked again. */
  readonly strangers: number;
  /** Requests of keys or operations that are not known any more. */
  readonly unknown: number;
  /** Requests that do not change by the mappings that the log names, while their issuer or its mappings differ. */
  readonly uncertain: number;
  /** Lines that are no events of requests. */
  readonly unread: number;
  readonly groups: readonly ReplayGroup[];
}

/** Asks about all events under two states, and tells those whose verdict changes. */
export async function replay(events: PastEvents, old: OfflineParts, next: OfflineParts): Promise<Replay> {
  const again = new AskedAgain([old, next]);
  const groups = new Map<string, ReplayGroup>();
  const counts = { requests: 0, changed: 0, strangers: 0, unknown: 0, uncertain: 0 };
  for await (const { event } of events.all()) {
    counts.requests += 1;
    const asked = await again.ask(event);
    if (asked === 'credential') counts.strangers += 1;
    if (asked === 'unknown') counts.unknown += 1;
    if (typeof asked === 'string') continue;
    const changes = asked.flatMap(({ verdicts: [from, to] }) => {
      const kind = from && to && kindOf(from, to);
      return kind ? [{ kind, from: verdictText(from), to: verdictText(to) }] : [];
    });
    const [change] = changes;
    const uncertain = asked.some((one) => one.uncertain);
    if (!change && uncertain) counts.uncertain += 1;
    if (!change) continue;
    counts.changed += 1;
    const { key = 'none', subject, mappings, operation, collections = [], timestamp, tracing_id: requestId } = event;
    const sure = !uncertain && changes.length === asked.length && changes.every(({ kind }) => kind === change.kind);
    const id = JSON.stringify([change, sure, key, subject, mappings, operation, collections]);
    const before = groups.get(id);
    groups.set(id, {
      ...{
        ...change,
        sure,
        key,
        ...(subject !== undefined && { subject }),
        ...(mappings && { mappings }),
        operation,
        collections,
      },
      ...{ requests: (before?.requests ?? 0) + 1, first: before?.first ?? timestamp, last: timestamp },
      request_id: requestId,
    });
  }
  const sorted = [...groups.values()].sort((left, right) => right.requests - left.requests);
  return { ...counts, unread: events.unread, groups: sorted };
}

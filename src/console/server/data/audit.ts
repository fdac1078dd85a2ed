import type { Entry } from '../../../audit/reading/entries.ts';
import { FilterFault, filterOf } from '../../../audit/reading/filter.ts';
import { AuditTail, type NumberedEntry } from '../../../audit/reading/tail.ts';
import { reason } from '../../../config/problem.ts';
import { isEvent, type PastEvent } from '../../../explain/past/events.ts';
import { DENIAL_CODES, type DenialCode } from '../../../policy/denial-codes.ts';
import type { AuditEntry, AuditPage, Explained } from '../../api/audit.ts';
import type { ConsoleSource } from '../source.ts';
import { answerTo } from './askers.ts';
import { type DataAnswer, type DataCall, type DataRow, ok, problem } from './row.ts';

/** Entries of one answer, and the bytes that they may have: names in them may be long. */
const MOST_SHOWN = 200;
const MOST_BYTES = 600_000;

const FILTERS = [
  'result',
  'code',
  'operation',
  'collection',
  'key',
  'subject',
  'remote',
  'rule',
  'event',
  'id',
  'since',
] as const;

/** Members of an entry that the page shows. */
const MEMBERS = [
  ...['timestamp', 'id', 'tracing_id', 'result', 'code', 'operation', 'method', 'api', 'protocol', 'auth_type', 'key'],
  ...['key_name', 'subject', 'remote', 'collection', 'collections', 'error', 'rule', 'event', 'status', 'duration_ms'],
  ...[
    'would_deny',
    'mappings',
    'reason',
    ...['target_key', 'target_key_name', 'target_node', 'target_session', 'target_session_name'],
    ...['target_policy', 'former_policy', 'via'],
    'revoked',
    'minted',
    'upstream_status',
    'by',
  ],
];

const tails = new WeakMap<ConsoleSource, { readonly dir: string; readonly tail: AuditTail }>();

/** The page Audit. */
export const auditRows: readonly DataRow[] = [
  {
    method: 'GET',
    name: 'audit',
    role: 'read',
    query: [...FILTERS, 'after'],
    answer: ({ source, query }) => {
      const tail = tailOf(source);
      if (!tail) return ok({ on: false } satisfies AuditPage);
      const unread = notLookedAt(tail);
      if (unread) return unread;
      try {
        const { after = '', ...filter } = query;
        return ok(pageOf(tail, filterOf(filter, source.now()), after));
      } catch (error) {
        if (error instanceof FilterFault) return problem(400, `${error.member} ${error.message}`);
        throw error;
      }
    },
  },
  { method: 'GET', name: 'audit/explain', role: 'read', query: ['id'], answer: explain },
];

/** One entry with its reason, and the decision today. The command `explain` tells the same. */
async function explain(call: DataCall): Promise<DataAnswer> {
  const { source, query } = call;
  const { id = '' } = query;
  const tail = tailOf(source);
  if (!tail) return problem(409, 'The audit log is off.');
  const unread = notLookedAt(tail);
  if (unread) return unread;
  const [found] = tail.newest(0, ({ id: own, tracing_id: request }) => own === id || request === id, 1);
  if (!found)
    return problem(404, 'This request is not in the recent log: the command `qdrant-gateway explain` reads all of it.');
  const { entry } = found;
  const row = isKnownCode(entry.code) ? DENIAL_CODES[entry.code] : undefined;
  const today = isEvent(entry) ? await todayOn(call, entry) : 'unknown';
  const explained: Explained = {
    entry: shownEntry(entry),
    ...(row && { means: row.means, remedy: row.remedy }),
    today: isNotAsked(today) ? NOT_ASKED[today] : today,
  };
  return ok(explained);
}

/** The decision of today; a text = it was not asked again, and why. */
async function todayOn(call: DataCall, entry: PastEvent): Promise<Explained['today'] | keyof typeof NOT_ASKED> {
  const answer = await answerTo(call, { kind: 'today', entry });
  if (answer.status === 200) return (answer.body as { readonly today: Explained['today'] }).today;
  return 'busy';
}

const NOT_ASKED = {
  busy: 'Not asked again: other questions took all of the time. Open the entry again in a moment.',
  credential: 'Not asked again: the log does not tell a credential that was refused.',
  unknown: 'Not asked again: the key, the operation or the mappings of the caller are not known any more.',
};

function isNotAsked(today: unknown): today is keyof typeof NOT_ASKED {
  return typeof today === 'string' && Object.hasOwn(NOT_ASKED, today);
}

function isKnownCode(code: unknown): code is DenialCode {
  return typeof code === 'string' && Object.hasOwn(DENIAL_CODES, code);
}

/** The end of the audit log in force; `undefined` = there is no audit log in files. */
export function tailOf(source: ConsoleSource): AuditTail | undefined {
  const { enabled, dir } = source.state().config.audit;
  if (!enabled) return undefined;
  const known = tails.get(source);
  if (known?.dir === dir) return known.tail;
  const tail = new AuditTail(dir);
  tails.set(source, { dir, tail });
  return tail;
}

/** Reads what has been written; the answer if the folder cannot be read. */
export function notLookedAt(tail: AuditTail): DataAnswer | undefined {
  try {
    tail.look();
    return undefined;
  } catch (error) {
    return problem(503, `The folder of the audit files cannot be read: ${reason(error)}.`);
  }
}

/** The kept entries after a place, the newest first. @param after `next` of an earlier page; empty = all */
export function pageOf(tail: AuditTail, fits: (entry: Entry) => boolean, after: string): AuditPage {
  const [id, number] = after.split('-');
  const isSame = id === tail.id;
  const found = tail.newest(isSame ? Number(number) || 0 : 0, fits, MOST_SHOWN + 1);
  const entries = boundedEntries(found.slice(0, MOST_SHOWN));
  return {
    on: true,
    next: `${tail.id}-${tail.last}`,
    whole: !isSame,
    entries,
    more: found.length > entries.length,
  };
}

function boundedEntries(found: readonly NumberedEntry[]): readonly AuditEntry[] {
  let left = MOST_BYTES;
  const shown: AuditEntry[] = [];
  for (const { entry } of found) {
    const one = shownEntry(entry);
    // Each character may take six where it is escaped.
    left -= JSON.stringify(one).length;
    if (left < 0) break;
    shown.push(one);
  }
  return shown;
}

/** The members of an entry that are shown. */
export function shownEntry(entry: Entry): AuditEntry {
  return Object.fromEntries(
    MEMBERS.flatMap((name) => (entry[name] === undefined ? [] : [[name, entry[name]] as const])),
  ) as unknown as AuditEntry; // a line of the log, as it was written
}

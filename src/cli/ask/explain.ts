import type { Flags } from '../../config/load.ts';
import type { State } from '../../config/state.ts';
import type { OnlineFlag } from '../../explain/online.ts';
import { partsToSurvey } from '../../explain/parts.ts';
import { AskedAgain } from '../../explain/past/again.ts';
import { type PastEvent, PastEvents } from '../../explain/past/events.ts';
import { type Today, todayOf } from '../../explain/past/today.ts';
import { DENIAL_CODES } from '../../policy/denial-codes.ts';
import { printable } from '../../text/printable.ts';
import { exitCode } from '../exit-code.ts';
import type { Report } from '../frame/declare.ts';
import { auditPaths } from './audit-paths.ts';
import { withSharedKeys } from './shared-keys.ts';
import { stateToAsk } from './state.ts';

/** Flags of `explain`. */
export interface ExplainFlags {
  readonly audit?: readonly string[] | undefined;
  readonly policy?: string | undefined;
}

/** `explain`: the audit event of a request id, and the decision today. Code 4 = there is no such event. */
export async function explainDecision(
  id: string,
  flags: Flags & ExplainFlags & OnlineFlag,
  now: number,
): Promise<Report> {
  const state = await withSharedKeys(stateToAsk(flags, flags.policy), flags);
  const paths = auditPaths(flags.audit ?? [state.config.audit.dir]);
  const found: { event: PastEvent; place: string }[] = [];
  for await (const one of new PastEvents(paths).all()) {
    if (one.event.id === id || one.event.tracing_id === id) found.push(one);
  }
  if (found.length === 0) {
    const text = `no request has the id ${printable(id)} in ${paths.length} files\n`;
    return { json: { events: [] }, text, code: exitCode.negative };
  }
  const again = new AskedAgain([partsToSurvey(state, now)]);
  const events = await Promise.all(
    found.map(async ({ event, place }) => ({ place, event, today: await todayOf(again, event) })),
  );
  return { json: { events }, text: events.map((one) => eventText(one, state)).join('\n') };
}

function eventText({ event, place, today }: { event: PastEvent; place: string; today: Today }, state: State): string {
  const { key, subject, mappings, remote, collections, code, rule, error } = event;
  const row = code === undefined ? undefined : DENIAL_CODES[code];
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['request', `${event.tracing_id} at ${event.timestamp}`],
    ['event', `${event.id} (${place})`],
    ['result', code === undefined ? event.result : `${event.result}: ${code}`],
    ['text', error],
    ['means', row?.means],
    ['next', row?.remedy],
    ['decided by', rule],
    ['caller', key === undefined ? 'not known' : `key ${key}${subject === undefined ? '' : `, subject ${subject}`}`],
    ['mappings', mappings?.join(', ')],
    ['client', remote],
    ['operation', `${event.operation}${event.method === undefined ? '' : ` (${event.method})`}, ${event.protocol}`],
    ['path', event.api],
    ['collections', collections?.join(', ')],
    ['shadow', event.would_deny && `${event.would_deny.rule} would deny: ${event.would_deny.code}`],
    ...todayLines(today, event, state),
  ];
  return lines
    .flatMap(([name, text]) => (text === undefined ? [] : [`${name.padEnd(12)} ${printable(text)}\n`]))
    .join('');
}

function todayLines(today: Today, event: PastEvent, state: State): readonly (readonly [string, string])[] {
  if (today === 'credential')
    return [['today', 'not asked again: the log does not tell a credential that was refused']];
  if (today === 'unknown') {
    const issuer = state.policy.issuers?.some(({ id }) => id === event.key);
    return [
      [
        'today',
        issuer
          ? 'not asked again: the log does not tell what the mappings of the token are'
          : 'the key or the operation is not known any more',
      ],
    ];
  }
  return today.map(({ verdict, callers }, at) => [
    at === 0 ? 'today' : '',
    today.length === 1 ? verdict : `${verdict}, for ${callers.join('; ')}`,
  ]);
}

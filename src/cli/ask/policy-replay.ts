import type { Flags } from '../../config/load.ts';
import type { OnlineFlag } from '../../explain/online.ts';
import { partsToSurvey } from '../../explain/parts.ts';
import { PastEvents } from '../../explain/past/events.ts';
import { type Replay, replay } from '../../explain/past/replay.ts';
import { leftOut } from '../../explain/space/left-out.ts';
import { printable } from '../../text/printable.ts';
import { exitCode } from '../exit-code.ts';
import type { Report } from '../frame/declare.ts';
import { auditPaths } from './audit-paths.ts';
import { withSharedKeys } from './shared-keys.ts';
import { stateToAsk } from './state.ts';

/** `policy replay`: the past requests whose verdict another policy changes. Code 4 = there is one. */
export async function replayPolicy(
  paths: readonly string[],
  flags: Flags & OnlineFlag & { readonly policy: string },
  now: number,
): Promise<Report> {
  const old = await withSharedKeys(stateToAsk(flags), flags);
  const next = await withSharedKeys(stateToAsk(flags, flags.policy), flags);
  const events = new PastEvents(auditPaths(paths));
  const result = await replay(events, partsToSurvey(old, now), partsToSurvey(next, now));
  const notes = leftOut([old, next]);
  return {
    json: { ...result, ...(notes.length > 0 && { notes }) },
    text: `${replayText(result)}${notes.map((note) => `note: ${note}\n`).join('')}`,
    code: result.changed > 0 ? exitCode.negative : exitCode.ok,
  };
}

function replayText({ requests, changed, strangers, unknown, uncertain, unread, groups }: Replay): string {
  const blocks = groups.map(({ kind, sure, key, subject, mappings, operation, collections, from, to, ...times }) => {
    const lines = [
      `${kind}${sure ? '' : ', perhaps'}: ${from} -> ${to}`,
      `  caller      key ${key}${subject === undefined ? '' : `, subject ${subject}`}${mappings ? `, mappings ${mappings.join(', ')}` : ''}`,
      `  operation   ${operation}${collections.length === 0 ? '' : ` on ${collections.join(', ')}`}`,
      `  requests    ${times.requests}, from ${times.first} to ${times.last}, the last is ${times.request_id}`,
    ];
    return lines.map((line) => `${printable(line)}\n`).join('');
  });
  const more = [
    ...(strangers > 0 ? [`${strangers} of callers whose credential was refused`] : []),
    ...(unknown > 0 ? [`${unknown} of keys, mappings or operations that are not known`] : []),
  ];
  const rest = more.length === 0 ? '' : `not asked again: ${more.join(', ')}\n`;
  const may = uncertain === 0 ? '' : `${uncertain} others may change: their issuer or its mappings differ\n`;
  const lines = unread === 0 ? '' : `${unread} lines are no requests\n`;
  return `${blocks.join('')}${changed} of ${requests} requests change\n${may}${rest}${lines}`;
}

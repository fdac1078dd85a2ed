import { verdictText } from '../diff/groups.ts';
import type { AskedAgain } from './again.ts';
import type { PastEvent } from './events.ts';

/** The verdicts of today, each with the callers that it is for. */
export type Today =
  | readonly { readonly verdict: string; readonly callers: readonly string[] }[]
  | 'credential'
  | 'unknown';

/** Asks about a past request again. */
export async function todayOf(again: AskedAgain, event: PastEvent): Promise<Today> {
  const asked = await again.ask(event);
  if (typeof asked === 'string') return asked;
  const verdicts = asked.flatMap(({ caller, verdicts: [now] }) => (now ? [{ caller, verdict: verdictText(now) }] : []));
  return [...Map.groupBy(verdicts, ({ verdict }) => verdict)].map(([verdict, all]) => ({
    verdict,
    callers: all.map(({ caller }) => caller),
  }));
}

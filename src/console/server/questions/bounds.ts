import { jsonLine } from '../../../text/printable.ts';

/*
 * Bounds of answers. INVARIANT: an answer to a draft is judged and made JSON on the thread: a draft of a few kilobytes names a long text
 * many times, and the event loop would read and write each copy.
 */

/** Largest answer, in characters of JSON. */
export const MOST_ANSWER = 4_000_000;
/** Sentences of one answer, and characters of each; the first ones of more. */
const MOST_SENTENCES = 200;
const MOST_OF_SENTENCE = 2000;

/** The JSON text of an answer; `undefined` = it is too large. */
export function boundedJson(answer: object): string | undefined {
  if (!isWithin(answer)) return undefined;
  const text = jsonLine(answer);
  return text.length <= MOST_ANSWER ? text : undefined;
}

/** False = its JSON is too large for sure. A text that stands in many places is one in memory, and as many in JSON. */
function isWithin(answer: object): boolean {
  let left = MOST_ANSWER;
  const open: unknown[] = [answer];
  while (open.length > 0 && left >= 0) {
    const value = open.pop();
    left -= typeof value === 'string' ? value.length : 1;
    if (typeof value !== 'object' || value === null) continue;
    // Not spread: a list can have more items than a call has arguments.
    for (const part of Object.values(value)) open.push(part);
  }
  return left >= 0;
}

/** The first sentences, and one that counts the others. */
export function firstSentences(sentences: readonly string[]): readonly string[] {
  const first = sentences.slice(0, MOST_SENTENCES).map(cut);
  const more = sentences.length - first.length;
  return more > 0 ? [...first, `${more} more problems are not shown`] : first;
}

/** A sentence without what is too long of it. */
export function cut(sentence: string): string {
  return sentence.length <= MOST_OF_SENTENCE ? sentence : `${sentence.slice(0, MOST_OF_SENTENCE).toWellFormed()}…`;
}

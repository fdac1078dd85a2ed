import { frameClient } from '../support/clients/raw-grpc.ts';
import { http1Client } from '../support/clients/raw-http.ts';
import type { TestGateway } from '../support/gateway.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { grpcVerdicts, isAskedByGateway } from '../support/verdicts/grpc.ts';
import { outcomeOf, restVerdicts } from '../support/verdicts/rest.ts';
import { agrees, type Deviations, type Verdict } from '../support/verdicts/verdicts.ts';

/** How a verdict of the gateway stands to the recorded one. `earlier` = refused by the matrix before upstream's fault. */
export type MeasureStep = 'equal' | 'earlier' | 'listed deviation' | 'different';

export interface Compared {
  readonly verdict: Verdict<unknown>;
  /** What the gateway did: `served`, or its own answer. */
  readonly outcome: string;
  readonly standing: MeasureStep;
}

/** One answer and, where upstream records, how often it was asked for it. */
export interface Seen {
  readonly verdict: Verdict<unknown>;
  /** Status or code, and text. */
  readonly text: string;
  readonly refused: boolean;
  /** The gateway says upstream did not answer. */
  readonly broken: boolean;
  /** `undefined` = upstream keeps no record. */
  readonly times: number | undefined;
}

/** How the verdicts are asked. */
export interface Replay {
  /** The upstream is the stand-in, which records. */
  readonly recording: boolean;
  /** Every nth verdict is asked; 1 = all of them. */
  readonly every: number;
}

const LANES = 8;

/** Sends every recorded request through the gateway. */
export async function replayRest(
  gateway: TestGateway,
  { recording, every }: Replay,
  listed: Deviations,
): Promise<Compared[]> {
  const client = http1Client(gateway, LANES);
  const verdicts = restVerdicts()
    .filter((_, at) => at % every === 0)
    .map((verdict, number) => ({ verdict, mark: String(number) }));
  const answers = new Map<string, { status: number; text: string }>();
  gateway.upstream.recorder.clear();
  try {
    await eachOf(verdicts, LANES, async ({ verdict: { request }, mark }) => {
      const headers = [...request.headers, ['x-mark', mark] as const];
      const answer = await client.send({ ...request, headers });
      answers.set(mark, { status: answer.status, text: outcomeOfAny(request.method, answer) });
    });
  } finally {
    client.close();
  }
  const received = countBy(gateway.upstream.recorder.rest.map(({ rawHeaders }) => markIn(rawHeaders)));
  return verdicts.map(({ verdict, mark }) => {
    const { status, text } = answers.get(mark) ?? { status: 0, text: 'no answer' };
    const [refused, broken] = [status === 401 || status === 403, status === 0 || (status > 501 && status < 505)];
    const times = recording ? (received.get(mark) ?? 0) : undefined;
    return compare({ verdict, text, refused, broken, times }, listed);
  });
}

/** The same for gRPC. */
export async function replayGrpc(
  gateway: TestGateway,
  { recording, every }: Replay,
  listed: Deviations,
): Promise<Compared[]> {
  const client = frameClient(gateway);
  const verdicts = grpcVerdicts()
    .filter((_, at) => at % every === 0)
    .map((verdict, number) => ({ verdict, mark: String(number) }));
  const answers = new Map<string, { code: number; message: string }>();
  gateway.upstream.recorder.clear();
  try {
    await eachOf(verdicts, LANES, async ({ verdict: { request }, mark }) => {
      answers.set(mark, await client.call({ ...request, headers: [['x-mark', mark], ...request.headers] }));
    });
  } finally {
    client.close();
  }
  const received = countBy(gateway.upstream.recorder.grpc.map(({ metadata }) => markIn(metadata)));
  return verdicts.map(({ verdict, mark }) => {
    const { code, message } = answers.get(mark) ?? { code: 14, message: 'no answer' };
    const refused = code === 7 || code === 16;
    // The gateway asks with a message of its own, without a mark.
    const own = !refused && isAskedByGateway(verdict) ? 1 : 0;
    const times = recording ? (received.get(mark) ?? own) : undefined;
    return compare({ verdict, text: `${code} ${message}`.trim(), refused, broken: code === 14, times }, listed);
  });
}

/** An answer of upstream need not be in the gateway's form. */
function outcomeOfAny(method: string, answer: Parameters<typeof outcomeOf>[1]): string {
  try {
    return outcomeOf(method, answer);
  } catch {
    return String(answer.status);
  }
}

function markIn(headers: readonly string[]): string | undefined {
  const at = headers.indexOf('x-mark');
  return at === -1 ? undefined : headers[at + 1];
}

function countBy(marks: readonly (string | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const mark of marks) if (mark !== undefined) counts.set(mark, (counts.get(mark) ?? 0) + 1);
  return counts;
}

/** Judges one answer. What reached upstream though it was refused is a difference whatever was answered. */
export function compare(seen: Seen, listed: Pick<Deviations, 'covers'>): Compared {
  const { verdict } = seen;
  const outcome = outcomeFrom(seen, listed);
  const standing = (): MeasureStep => {
    if (agrees(outcome, verdict)) return outcome === verdict.byMatrix ? 'earlier' : 'equal';
    return listed.covers(verdict, outcome) ? 'listed deviation' : 'different';
  };
  return { verdict, outcome, standing: standing() };
}

function outcomeFrom({ verdict, text, refused, broken, times }: Seen, listed: Pick<Deviations, 'covers'>): string {
  if (times !== undefined && (times > 1 || (refused && times > 0))) return `${text} (sent upstream ${times} times)`;
  if (refused) return text;
  if (times !== undefined) return times === 1 ? 'served' : text;
  // Answers do not tell their origin: an answer the gateway is expected to give itself is taken as its own.
  return broken || agrees(text, verdict) || listed.covers(verdict, text) ? text : 'served';
}

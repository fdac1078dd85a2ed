import { isDeepStrictEqual } from 'node:util';
import { recordOf } from '../../../src/audit/record.ts';
import type { Exchange, Outcome } from '../../../src/exchange/exchange.ts';
import { groupOf } from '../../../src/observability/metrics/operation-group.ts';
import { createVerdict, VERDICTS, type Verdict } from '../../../src/observability/verdict.ts';
import { firstRefusal } from '../../../src/policy/rules.ts';
import type { RestRecord } from '../fake-qdrant/recorder.ts';
import { until } from '../until.ts';
import { eachOf } from '../verdicts/cells.ts';
import { idOf, type PlainAnswer, plainly, type SentRequest } from './request.ts';
import { TRANSPORTS, type TransportName, type Transports } from './transports.ts';

/** All there is to see of one request on one transport. */
export interface Seen {
  readonly answer: PlainAnswer;
  /** What upstream got of it. */
  readonly upstream: readonly Received[];
  /** Its audit event, and the labels it is counted under. */
  readonly event: object | undefined;
  readonly counted: Counted | undefined;
}

/** The labels of an exchange in `requests_total`; its status in full. */
export interface Counted extends Verdict {
  readonly group: string;
  readonly status: number | undefined;
}

/** A request as upstream got it, without what is said by a connection of its own. */
export interface Received {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
}

/** One request on every transport. */
export interface Heard {
  readonly seen: Readonly<Record<TransportName, Seen>>;
  readonly first: Seen;
  /** How the other transports differ from the first one; empty = in nothing. */
  readonly differences: readonly string[];
}

const MARK = 'x-mark';
const RECORDING = { trust: { trustedProxies: 0, trustForwardedHeaders: false }, logApi: true, firstRefusal };

function markOf(headers: readonly string[]): string | undefined {
  const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === MARK);
  return at < 0 ? undefined : headers[at + 1];
}

/** Keeps of each exchange what audit and metrics make of it, by its mark. */
export class Witness {
  #given = 0;
  readonly #kept = new Map<string, Pick<Seen, 'event' | 'counted'>>();
  readonly #verdictOf = createVerdict({ firstRefusal });

  /** An observer of the gateways. */
  readonly observe = (exchange: Exchange, outcome: Outcome): void => {
    const mark = markOf(exchange.headers);
    if (mark === undefined) return;
    const event = recordOf(exchange, outcome, { id: '', at: 0, now: 0 }, RECORDING);
    const operation = exchange.resolution?.operation;
    const verdict = VERDICTS[this.#verdictOf(exchange)];
    const counted = verdict && { ...verdict, group: operation ? groupOf(operation) : '', status: outcome.status };
    const kept = event && { ...event, tracing_id: idOf(event.tracing_id), duration_ms: 0 };
    this.#kept.set(mark, { event: kept, counted });
  };

  /** Marks for one request, one for each transport; all of a length. */
  marks(count: number): readonly string[] {
    this.#given += 1;
    return Array.from({ length: count }, (_, index) => `${this.#given}.${index}`);
  }

  /** Waits until the exchanges of one request are recorded: of all transports, or of none. */
  async recorded(marks: readonly string[]): Promise<void> {
    const some = (): boolean => marks.some((mark) => this.#kept.has(mark));
    const all = (): boolean => marks.every((mark) => this.#kept.has(mark));
    // One that is never recorded is a difference, and reported as such.
    if (some() && !all()) await until(all, 'they are recorded').catch(() => undefined);
  }

  of(mark: string): Pick<Seen, 'event' | 'counted'> {
    return this.#kept.get(mark) ?? { event: undefined, counted: undefined };
  }
}

/**
 * Sends each request on every transport, eight requests at a time, and compares everything that can be seen of them.
 * @param witness observes both gateways
 */
export async function onEveryTransport(
  { all, upstream }: Transports,
  witness: Witness,
  requests: readonly SentRequest[],
): Promise<readonly Heard[]> {
  const sent = requests.map((request) => ({ request, marks: witness.marks(all.length), answers: [] as PlainAnswer[] }));
  upstream.recorder.clear();
  await eachOf(sent, AT_ONCE, async ({ request, marks, answers }) => {
    const asked = all.map(async ({ name, send }, index) => {
      const headers = [...request.headers, [MARK, marks[index] ?? ''] as const];
      const answer = await send({ ...request, headers }).catch((error: unknown) => {
        throw new Error(`${name}: ${request.method} ${request.target}: ${String(error)}`);
      });
      return plainly(answer);
    });
    answers.push(...(await Promise.all(asked)));
  });
  // What was reset as malformed never became an exchange.
  for (const { marks, answers } of sent) await witness.recorded(marks.filter((_, at) => answers[at]?.status !== 0));
  const received = Map.groupBy(upstream.recorder.rest, ({ rawHeaders }) => markOf(rawHeaders));
  return sent.map(({ marks, answers }) => {
    const seen = all.map(({ name }, index) => {
      const mark = marks[index] ?? '';
      const [answer, came] = [answers[index], received.get(mark) ?? []];
      if (!answer) throw new Error(`${name}: no answer`);
      return [name, { answer, upstream: came.map(receivedOf), ...witness.of(mark) }] as const;
    });
    const byName = Object.fromEntries(seen.map(([name, one]) => [name, unnamed(one)])) as Record<TransportName, Seen>;
    return { seen: byName, first: byName[TRANSPORTS[0]], differences: differencesOf(byName) };
  });
}

const AT_ONCE = 8;

/** What is refused before it becomes a request has an id on some transports, and no use for it. */
function unnamed(seen: Seen): Seen {
  const { answer, counted } = seen;
  if (counted || answer.status < 400) return seen;
  return {
    ...seen,
    answer: { ...answer, headers: answer.headers.filter((line) => !line.startsWith('x-request-id:')) },
  };
}

/** Said by the connection of each transport, or by its mark. */
const OF_CONNECTION = new Set(['host', 'connection', 'content-length', 'transfer-encoding', MARK]);

function receivedOf({ method, target, rawHeaders, body }: RestRecord): Received {
  const headers: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    if (!OF_CONNECTION.has(name)) headers.push(`${name}: ${rawHeaders[i + 1]}`);
  }
  return { method, target, headers: headers.sort(), body: body.toString('latin1') };
}

const PARTS = ['answer', 'upstream', 'event', 'counted'] as const;

function differencesOf(seen: Readonly<Record<TransportName, Seen>>): string[] {
  const [first, ...others] = TRANSPORTS;
  return others.flatMap((name) =>
    PARTS.filter((part) => !isDeepStrictEqual(seen[name][part], seen[first][part])).map((part) => {
      const [here, there] = [JSON.stringify(seen[name][part]), JSON.stringify(seen[first][part])];
      return `${part} over ${name}: ${here}, over ${first}: ${there}`;
    }),
  );
}

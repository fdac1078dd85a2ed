import type { Dispatcher } from 'undici';
import { addedHeaders } from '../../exchange/request-id.ts';
import { shareOf, shareOwner } from '../../exchange/share-owner.ts';
import type { Permit } from '../../policy/decide.ts';
import { ANSWER_TOO_LARGE, ANSWERS_BUSY, type Denial, INTERNAL_FAULT, UPSTREAM_BROKEN } from '../../policy/denial.ts';
import type { AnswerChanger } from '../body/check-pool.ts';
import type { RestExchange } from '../exchange.ts';
import { toClientHeaders, toUpstreamHeaders } from '../headers.ts';
import type { LaneContext, LaneOptions } from '../options.ts';
import { type AnswerPlan, isPatched } from '../protocol.ts';
import { reject } from '../reject.ts';
import { sendUpstream, UpstreamAnswer } from '../server/forward.ts';
import type { AnswerReservation } from './answer-budget.ts';
import { AnswerBytes } from './answer-bytes.ts';
import { answerCodingFor } from './coding.ts';
import { errorForList } from './error-answer.ts';
import { planFilter } from './filter-query.ts';
import { HealthAnswer } from './health-answer.ts';
import { settledHeaders } from './settled-headers.ts';
import { answerInSlices } from './slices.ts';
import type { AnswerTask } from './task.ts';

/** Sends the request and changes its answer on the way. */
export function forwardChanged(
  exchange: RestExchange,
  permit: Permit,
  plan: Exclude<AnswerPlan, 'pass'>,
  options: LaneContext,
): void {
  if (plan === 'health') {
    const path = exchange.resolution?.pathToSend ?? '/';
    const credential = options.credential();
    const headers = toUpstreamHeaders(exchange, { readable: false, contentLength: undefined, credential, added: [] });
    sendUpstream(exchange, options, { path, headers }, new HealthAnswer(exchange, options));
    return;
  }
  const busy = (): void => reject(exchange, ANSWERS_BUSY, options.cors);
  const go = (place: AnswerReservation): void => {
    if (plan === 'filter') filterFor(exchange, permit, options, place);
    else patch(exchange, options, place);
  };
  options.answers.take(shareOf(exchange, exchange.peer), exchange, go, busy);
}

function patch(exchange: RestExchange, options: LaneContext, place: AnswerReservation): void {
  const task: AnswerTask = { kind: 'answer', telemetry: options.telemetry };
  send(exchange, options, queryOf(exchange), { task, strict: false, place });
}

/**
 * INVARIANT: with a list access an answer is either filtered or not given at all.
 */
function filterFor(exchange: RestExchange, { visible }: Permit, options: LaneContext, place: AnswerReservation): void {
  const name = exchange.resolution?.operation.filter;
  if (!visible || !name) {
    reject(exchange, INTERNAL_FAULT, options.cors);
    return;
  }
  const plan = planFilter(name, queryOf(exchange));
  const start = (existing: readonly string[] | undefined): void => {
    const context = existing === undefined ? { view: plan.view } : { view: plan.view, existing };
    const patched = name === 'telemetry' && isPatched(options.telemetry) ? { telemetry: options.telemetry } : {};
    const task: AnswerTask = { kind: 'answer', filter: { name, visible, context }, ...patched };
    send(exchange, options, plan.query, { task, strict: true, place });
  };
  if (!plan.needsNames) {
    start(undefined);
    return;
  }
  withNames(exchange, options, start);
}

function withNames(exchange: RestExchange, options: LaneOptions, start: (names: readonly string[]) => void): void {
  const left = new AbortController();
  exchange.life.onEnd(() => left.abort());
  exchange.guard.settled(options.lookup.listCollections(left.signal), (found) => {
    if (exchange.life.ended) return;
    if ('kind' in found) reject(exchange, found, options.cors);
    else start(found);
  });
}

export interface Changed {
  readonly task: AnswerTask;
  /** An answer that cannot be changed is not given; else it passes as it is. */
  readonly strict: boolean;
  /** Upstream's refusals pass although the answer is strict. Default: they say only what names nothing. */
  readonly errorsPass?: true;
  /** The denial in the place of an empty changed answer. */
  readonly absent?: Denial;
  readonly place: AnswerReservation;
}

function send(exchange: RestExchange, options: LaneContext, query: string, change: Changed): void {
  const [path = '/'] = (exchange.resolution?.pathToSend ?? '/').split('?', 1);
  const headers = toUpstreamHeaders(exchange, {
    readable: true,
    contentLength: undefined,
    credential: options.credential(),
    added: addedHeaders(exchange),
  });
  const sent = { path: query === '' ? path : `${path}?${query}`, headers };
  sendUpstream(exchange, options, sent, new WholeAnswer(exchange, options, change));
}

function queryOf(exchange: RestExchange): string {
  const sent = exchange.resolution?.pathToSend ?? '';
  const at = sent.indexOf('?');
  return at === -1 ? '' : sent.slice(at + 1);
}

/** Say something about the bytes of a body that is not sent any more. */
const ABOUT_THE_BYTES = new Set([
  'content-length',
  'content-encoding',
  'etag',
  'last-modified',
  'accept-ranges',
  'content-range',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
]);

/** Holds the answer back until it is whole, up to the limit, and gives the changed one. */
export class WholeAnswer extends UpstreamAnswer {
  readonly #change: Changed;
  readonly #bytes = new AnswerBytes();
  #size = 0;
  #status = 0;
  #headers: string[] = [];

  readonly #changer: AnswerChanger;

  constructor(exchange: RestExchange, options: LaneContext, change: Changed) {
    super(exchange, options);
    this.#changer = options.changer;
    this.#change = change;
  }

  protected override head(_controller: Dispatcher.DispatchController, status: number, headers: string[]): void {
    this.#status = status;
    this.#headers = headers;
  }

  protected override data(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > this.options.maxFilteredBytes) {
      this.abort(ANSWER_TOO_LARGE, new RangeError('an answer that has to be filtered is too large'));
      return;
    }
    this.#bytes.push(chunk);
    const source = {
      resume: () => controller.resume(),
      giveUp: () => this.abort(ANSWERS_BUSY, new Error('there is no room for an answer that has to be filtered')),
    };
    if (!this.#change.place.add(chunk.length, source)) controller.pause();
  }

  protected override end(): void {
    this.complete = true;
    this.#change.place.change(this.#size, (changed) => this.#settle(changed));
  }

  protected override fail(denial: Denial, error: unknown): void {
    this.#drop();
    super.fail(denial, error);
  }

  override ended(): void {
    this.#drop();
    super.ended();
  }

  #drop(): void {
    this.#bytes.drop();
    this.#change.place.leave();
  }

  /** @param over the next answer may be changed */
  #settle(over: () => void): void {
    const body = this.#bytes.take();
    const settled = this.#unchanged(body);
    if (settled) {
      over();
      this.#answer(settled);
      return;
    }
    const { task, strict, absent } = this.#change;
    this.#changer.change({
      task,
      body,
      own: body.buffer.byteLength === body.length,
      owner: shareOwner(this.exchange),
      life: this.exchange.life,
      guard: this.guard,
      done: ({ buffer, byteOffset, byteLength }) => {
        over();
        this.#answer(byteLength === 0 && absent ? absent : Buffer.from(buffer, byteOffset, byteLength));
      },
      fail: (_error, back) => {
        over();
        this.#answer(strict ? UPSTREAM_BROKEN : (back ?? INTERNAL_FAULT));
      },
      dropped: over,
    });
  }

  #answer(body: Buffer | Denial): void {
    const { exchange, options } = this;
    if (exchange.life.ended) return;
    if (!Buffer.isBuffer(body)) {
      this.fail(body, undefined);
      return;
    }
    const kept = toClientHeaders(this.#headers, (name) => ABOUT_THE_BYTES.has(name));
    const headers = settledHeaders(exchange, kept, options.cors);
    const coding = body.length > 0 ? answerCodingFor(exchange.headers) : undefined;
    const { place } = this.#change;
    if (!coding) {
      answerInSlices(exchange, { status: this.#status, headers, body }, place);
      return;
    }
    exchange.guard.settled(coding.encode(body), (coded) => {
      if (exchange.life.ended) return;
      const more = ['content-encoding', coding.name, 'vary', 'accept-encoding'];
      answerInSlices(exchange, { status: this.#status, headers: [...headers, ...more], body: coded }, place);
    });
  }

  /** An answer that is not one to be changed. `undefined` = it is. */
  #unchanged(body: Buffer): Buffer | Denial | undefined {
    const { strict, errorsPass } = this.#change;
    const readable = !this.#headers.some((part, i) => i % 2 === 0 && part.toLowerCase() === 'content-encoding');
    if (!readable) return UPSTREAM_BROKEN;
    if (this.#status >= 400) return strict && !errorsPass ? this.#errorFor(body) : body;
    if (this.#status !== 200) return strict ? UPSTREAM_BROKEN : body;
    return undefined;
  }

  #errorFor(body: Buffer): Buffer {
    const target = this.exchange.resolution?.target;
    const shown = errorForList(this.#status, body, target?.kind === 'collection' ? target.name : undefined);
    // A filtered answer is JSON, regardless of upstream's content type.
    if (shown !== body) this.#headers = [...withoutType(this.#headers), 'content-type', 'application/json'];
    return shown;
  }
}

function withoutType(headers: readonly string[]): string[] {
  return toClientHeaders(headers, (name) => name === 'content-type');
}

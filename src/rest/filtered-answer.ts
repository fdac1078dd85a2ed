import type { Dispatcher } from 'undici';
import type { Permit } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT, UPSTREAM_BROKEN } from '../policy/denial.ts';
import { addedHeaders } from '../request-id.ts';
import { answerCodingFor } from './answer-coding.ts';
import { answerInSlices } from './answer-slices.ts';
import { settleCors } from './cors.ts';
import { errorForList } from './error-answer.ts';
import { sendUpstream, UpstreamAnswer } from './forward.ts';
import { toClientHeaders, toUpstreamHeaders } from './headers.ts';
import { asksForHealth, HealthAnswer } from './health-answer.ts';
import type { LaneOptions } from './lane-options.ts';
import { reject } from './reject.ts';
import { RESPONSE_FILTERS } from './response-filter.ts';
import { patchTelemetry } from './response-filter-patch.ts';
import { planFilter } from './response-filter-query.ts';
import type { RestExchange } from './rest-exchange.ts';

/** Takes upstream's whole 200 answer and gives the one for this client; throws when it is not what was expected. */
type Change = (body: Buffer) => Buffer;

/** Takes over where the answer has to be changed on its way; `false` = it passes as it is. */
export function forwardFiltered(exchange: RestExchange, permit: Permit, options: LaneOptions): boolean {
  if (asksForHealth(exchange)) {
    const [path, headers] = [
      exchange.resolution?.pathToSend ?? '/',
      { readable: false, contentLength: undefined, added: [] },
    ];
    sendUpstream(exchange, options, path, toUpstreamHeaders(exchange, headers), new HealthAnswer(exchange, options));
    return true;
  }
  const telemetry = exchange.resolution?.operation.filter === 'telemetry';
  if (permit.visible) {
    filterFor(exchange, permit, options);
    return true;
  }
  if (!telemetry || !isPatched(options)) return false;
  send(exchange, options, queryOf(exchange), {
    body: (body) => patchTelemetry(body, options.telemetry),
    strict: false,
  });
  return true;
}

/**
 * INVARIANT: with a list access an answer is either filtered or not given at all.
 */
function filterFor(exchange: RestExchange, { visible }: Permit, options: LaneOptions): void {
  const name = exchange.resolution?.operation.filter;
  if (!visible || !name) {
    reject(exchange, INTERNAL_FAULT, options.cors);
    return;
  }
  const plan = planFilter(name, queryOf(exchange));
  const filter = RESPONSE_FILTERS[name];
  const start = (existing: readonly string[] | undefined): void => {
    const context = existing === undefined ? { view: plan.view } : { view: plan.view, existing };
    const change: Change = (body) => {
      const kept = filter(body, visible, context);
      return name === 'telemetry' && isPatched(options) ? patchTelemetry(kept, options.telemetry) : kept;
    };
    send(exchange, options, plan.query, { body: change, strict: true });
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

interface Changed {
  readonly body: Change;
  /** An answer that cannot be changed is not given; else it passes as it is. */
  readonly strict: boolean;
}

function send(exchange: RestExchange, options: LaneOptions, query: string, change: Changed): void {
  const [path = '/'] = (exchange.resolution?.pathToSend ?? '/').split('?', 1);
  const headers = toUpstreamHeaders(exchange, {
    readable: true,
    contentLength: undefined,
    added: addedHeaders(exchange),
  });
  sendUpstream(
    exchange,
    options,
    query === '' ? path : `${path}?${query}`,
    headers,
    new WholeAnswer(exchange, options, change),
  );
}

function queryOf(exchange: RestExchange): string {
  const sent = exchange.resolution?.pathToSend ?? '';
  const at = sent.indexOf('?');
  return at === -1 ? '' : sent.slice(at + 1);
}

function isPatched({ telemetry }: LaneOptions): boolean {
  const { jwtRbac, hideJwtDashboard, audit } = telemetry;
  return jwtRbac !== undefined || hideJwtDashboard !== undefined || audit !== undefined;
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
class WholeAnswer extends UpstreamAnswer {
  readonly #change: Changed;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #status = 0;
  #headers: string[] = [];

  constructor(exchange: RestExchange, options: LaneOptions, change: Changed) {
    super(exchange, options);
    this.#change = change;
  }

  protected override head(_controller: Dispatcher.DispatchController, status: number, headers: string[]): void {
    this.#status = status;
    this.#headers = headers;
  }

  protected override data(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > this.options.maxFilteredBytes)
      this.abort(INTERNAL_FAULT, new RangeError('an answer that has to be filtered is too large'));
    else this.#chunks.push(chunk);
  }

  protected override end(): void {
    this.complete = true;
    const { exchange, options } = this;
    const body = this.#changed(Buffer.concat(this.#chunks.splice(0)));
    if (!Buffer.isBuffer(body)) {
      this.fail(body, undefined);
      return;
    }
    const kept = toClientHeaders(this.#headers, (name) => ABOUT_THE_BYTES.has(name));
    const headers = settleCors(exchange, kept, options.cors);
    const coding = body.length > 0 ? answerCodingFor(exchange.headers) : undefined;
    if (!coding) {
      answerInSlices(exchange, this.#status, headers, body);
      return;
    }
    exchange.guard.settled(coding.encode(body), (coded) => {
      if (exchange.life.ended) return;
      const more = ['content-encoding', coding.name, 'vary', 'accept-encoding'];
      answerInSlices(exchange, this.#status, [...headers, ...more], coded);
    });
  }

  #changed(body: Buffer): Buffer | Denial {
    const { strict, body: change } = this.#change;
    const readable = !this.#headers.some((part, i) => i % 2 === 0 && part.toLowerCase() === 'content-encoding');
    if (!readable) return UPSTREAM_BROKEN;
    if (this.#status >= 400) return strict ? this.#errorFor(body) : body;
    if (this.#status !== 200) return strict ? UPSTREAM_BROKEN : body;
    try {
      return change(body);
    } catch {
      return strict ? UPSTREAM_BROKEN : body;
    }
  }

  #errorFor(body: Buffer): Buffer {
    const target = this.exchange.resolution?.target;
    const shown = errorForList(this.#status, body, target?.kind === 'collection' ? target.name : undefined);
    // What is ours is JSON, whatever upstream's was.
    if (shown !== body) this.#headers = [...withoutType(this.#headers), 'content-type', 'application/json'];
    return shown;
  }
}

function withoutType(headers: readonly string[]): string[] {
  return toClientHeaders(headers, (name) => name === 'content-type');
}

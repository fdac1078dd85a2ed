import { earned, FrameBudget } from '../../http2/budget.ts';
import { dataOf, ErrorCode, Flag, type Frame, Http2Fault, type Setting } from '../../http2/frames.ts';
import { writeWindowUpdate } from '../../http2/write-frames.ts';
import { Guard } from '../../lifetime/guard.ts';
import {
  ANSWERS_BUSY,
  type Denial,
  UPSTREAM_BROKEN,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../../policy/denial.ts';
import type { AnswerBlock } from '../headers/answer-blocks.ts';
import { SMALL_BYTES } from '../relay/held-frames.ts';
import type { LinkEvents } from '../relay/upstream-frames.ts';
import { UpstreamLink } from '../relay/upstream-link.ts';
import { UnaryAnswer } from './unary-answer.ts';
import {
  type GrpcUpstream,
  headOf,
  type Outcome,
  prefixed,
  type Question,
  ReceiveWindow,
  type UnaryCall,
} from './unary-call.ts';
import { UnaryStreams } from './unary-streams.ts';

/**
 * DATA below `SMALL_BYTES` that does not end its stream: a call earns a few of them, and grants some more. Windows
 * bound bytes; small frames cost far more than their bytes.
 */
const SMALL_DATA = earned(1);
/** A connection with a call that has waited this long without any frame is silent, in milliseconds. */
const SILENT_MS = 5000;
/** The same limit for an abandoned call. */
const GIVEN_UP_MS = 1000;

/**
 * One connection to upstream for the gateway's own unary calls; opened in the constructor.
 *
 * The connection's part of HTTP/2 is the relay's `UpstreamLink`, so its limits and frame prices are those of relayed
 * calls. A connection of the relay itself cannot carry these calls: it belongs to one client, ends with it, and has
 * that client's windows.
 *
 * INVARIANT: a call ends once, with an outcome or an internal error. Its timer and signal are then released, and its
 * stream is ended or reset.
 */
export class UnaryConnection implements LinkEvents {
  readonly #upstream: GrpcUpstream;
  readonly #clock: () => number;
  readonly #onClosed: () => void;
  readonly #guard: Guard;
  readonly #link: UpstreamLink;
  readonly #budget: FrameBudget;
  readonly #streams: UnaryStreams;
  /** True = pending frames will be sent. */
  #flushes = false;
  /** Oldest first. */
  readonly #calls = new Set<UnaryCall>();
  readonly #window = new ReceiveWindow();
  #state: 'open' | 'ending' | 'closed' = 'open';
  #fellSilent = false;

  /**
   * @param clock milliseconds
   * @param onClosed called once, when the connection has ended
   */
  constructor(upstream: GrpcUpstream, clock: () => number, onClosed: () => void) {
    this.#upstream = upstream;
    this.#clock = clock;
    this.#onClosed = onClosed;
    this.#budget = new FrameBudget(clock());
    // An exception rejects the open calls, and is reported where their answers are awaited.
    const owner = { fail: (error: unknown) => this.#fail(error), cut: () => this.#link.break() };
    this.#guard = new Guard(owner, 'grpc_upstream', ignore);
    this.#link = new UpstreamLink(upstream.address, upstream.socket, [], this, this.#guard, clock);
    this.#link.onDrain(() => this.#link.resume());
    this.#streams = new UnaryStreams(this.#link);
  }

  /** True = more calls may be made. */
  get isOpen(): boolean {
    return this.#state === 'open' && !this.#streams.isExhausted;
  }

  /** True = a call has waited for long without a frame, or upstream does not accept data. */
  get isSilent(): boolean {
    if (this.#fellSilent || this.#link.outbox.congested) return true;
    for (const { since, isHeard } of this.#calls) if (!isHeard) return this.#clock() - since >= SILENT_MS;
    return false;
  }

  /** Makes one call. Rejects only for internal errors. */
  call(question: Question): Promise<Outcome> {
    const { message, leftMs, shown, signal, place } = question;
    if (signal?.aborted) return Promise.resolve(UPSTREAM_BROKEN);
    if (!this.isOpen) return Promise.resolve('refused');
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const late = this.#guard.after(leftMs, () => this.#giveUp(call, UPSTREAM_TIMEOUT));
    const leave = this.#guard.entry((_: Event) => this.#giveUp(call, UPSTREAM_BROKEN));
    const letGo = (): void => {
      clearTimeout(late);
      signal?.removeEventListener('abort', leave);
      call.answer.close();
    };
    const call: UnaryCall = {
      since: this.#clock(),
      head: headOf(this.#upstream, question),
      answer: new UnaryAnswer((step) => this.#guard.run(() => this.#continue(call, step)), shown === undefined),
      window: new ReceiveWindow(),
      place,
      end: (outcome) => {
        letGo();
        resolve(outcome);
      },
      fail: (error) => {
        letGo();
        reject(error);
      },
      ...{ streamId: 0, unsent: prefixed(message), sendWindow: 0, waits: false, isHeard: false },
    };
    signal?.addEventListener('abort', leave, { once: true });
    place?.begin();
    this.#calls.add(call);
    this.#budget.called();
    this.#streams.add(call);
    this.#flush();
    return promise;
  }

  /** Accepts no more calls; open ones are still answered. */
  retire(): void {
    if (this.#state === 'open') this.#state = 'ending';
    this.#closeIfDone();
  }

  /** Ends the connection and its open calls. */
  close(): void {
    if (this.#state === 'closed') return;
    for (const call of this.#calls) this.#end(call, UPSTREAM_UNREACHABLE);
    this.#shut();
  }

  upstreamSettings(settings: readonly Setting[]): void {
    this.#link.acknowledge();
    this.#streams.take(settings);
  }

  /** Only for settings of a client, which there is none of here. */
  upstreamAcknowledged(): void {}

  upstreamHeaders(streamId: number, block: AnswerBlock, endStream: boolean): boolean {
    const call = this.#streams.get(streamId);
    if (!call) return false;
    if (!block.isInterim) call.isHeard = true;
    call.answer.headers(block, endStream);
    this.#settle(call, endStream);
    return true;
  }

  /** DATA is always read at once. */
  hasRoom(): boolean {
    return true;
  }

  upstreamData(frame: Frame): boolean {
    const call = this.#streams.get(frame.streamId);
    this.#window.take(frame.length);
    if (!call) return false;
    const ends = frame.has(Flag.END_STREAM);
    call.window.take(frame.length);
    if (frame.length < SMALL_BYTES && !ends && this.#budget.pay(SMALL_DATA, this.#clock()) === 'flood') {
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'too many small frames');
    }
    call.answer.data(dataOf(frame), ends);
    this.#settle(call, ends);
    if (this.#calls.has(call)) this.#reserve(call, frame.length);
    return true;
  }

  /** A call whose answer finds no memory gets no further credit: at most its window comes beyond. */
  #reserve(call: UnaryCall, bytes: number): void {
    const { place } = call;
    if (!place) return;
    const resume = (): void => {
      call.waits = false;
      if (!this.#calls.has(call)) return;
      this.#grantCall(call);
      this.#flush();
    };
    const giveUp = (): void => {
      this.#end(call, ANSWERS_BUSY);
      this.#flush();
      this.#closeIfDone();
    };
    if (!place.add(bytes, { guard: this.#guard, resume, giveUp })) call.waits = true;
  }

  upstreamReset(streamId: number, code: number): boolean {
    const call = this.#streams.get(streamId);
    if (!call) return false;
    call.isHeard = true;
    this.#streams.wasReset(call);
    this.#end(call, code === ErrorCode.REFUSED_STREAM ? 'refused' : UPSTREAM_BROKEN);
    return true;
  }

  upstreamGrant(streamId: number, increment: number): void {
    this.#streams.granted(streamId, increment);
  }

  upstreamFault({ streamId }: Http2Fault): boolean {
    const call = this.#streams.get(streamId);
    if (!call) return false;
    call.isHeard = true;
    this.#end(call, UPSTREAM_BROKEN);
    return true;
  }

  upstreamGoaway(lastStreamId: number): void {
    if (this.#state === 'open') this.#state = 'ending';
    this.#streams.forgetAbove(lastStreamId);
    for (const call of this.#calls) {
      if (call.streamId !== 0 && call.streamId <= lastStreamId) continue;
      call.isHeard = true;
      this.#end(call, 'refused');
    }
  }

  upstreamBurst(): void {
    this.#grant(0, this.#window);
    for (const call of this.#streams.all()) this.#grantCall(call);
    this.#link.outbox.flush();
    if (this.#link.outbox.congested) this.#link.pause();
    this.#closeIfDone();
  }

  upstreamLost(reason: 'unreachable' | 'timeout' | 'broken', connected: boolean): void {
    this.#streams.forgetAbove(0);
    const denial = reason === 'broken' ? UPSTREAM_BROKEN : UPSTREAM_UNREACHABLE;
    this.#state = 'ending';
    for (const call of this.#calls) {
      call.isHeard = true;
      this.#end(call, connected && call.streamId === 0 ? 'refused' : denial);
    }
    this.#shut();
  }

  /** A fault of upstream ends the connection as broken; an internal error rejects its calls. */
  #fail(error: unknown): void {
    if (error instanceof Http2Fault) {
      this.#link.break();
      return;
    }
    const calls = [...this.#calls];
    this.#calls.clear();
    this.#shut();
    for (const call of calls) call.fail(error);
  }

  #shut(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#link.close();
    this.#onClosed();
  }

  #closeIfDone(): void {
    if (this.#state === 'ending' && this.#calls.size === 0) this.#shut();
  }

  /** Abandons a call: its caller has left, or its time is up. */
  #giveUp(call: UnaryCall, denial: Denial): void {
    if (!call.isHeard && this.#clock() - call.since >= GIVEN_UP_MS) this.#fellSilent = true;
    this.#end(call, denial);
    this.#flush();
    this.#closeIfDone();
  }

  /** Continues an answer after a wait for inflating. */
  #continue(call: UnaryCall, step: () => void): void {
    if (!this.#calls.has(call)) return;
    step();
    this.#settle(call, false);
    if (this.#streams.get(call.streamId)) this.#grantCall(call);
    this.#flush();
    this.#closeIfDone();
  }

  /** Ends a call with its answer. @param upstreamEnded upstream has ended its side of the stream */
  #settle(call: UnaryCall, upstreamEnded: boolean): void {
    if (upstreamEnded) this.#streams.ended(call);
    const { outcome } = call.answer;
    if (outcome) this.#end(call, outcome);
  }

  #end(call: UnaryCall, outcome: Outcome): void {
    if (!this.#calls.delete(call)) return;
    this.#streams.cancel(call);
    if (outcome !== 'refused' && outcome.kind === 'message') call.place?.whole();
    call.end(outcome);
  }

  #grantCall(call: UnaryCall): void {
    if (!call.answer.busy && !call.waits) this.#grant(call.streamId, call.window);
  }

  #grant(streamId: number, window: ReceiveWindow): void {
    const bytes = window.grant();
    if (bytes === 0) return;
    this.#budget.moved(bytes);
    this.#link.outbox.bytes(writeWindowUpdate(streamId, bytes));
  }

  /** Sends pending frames, those of all calls of one moment in one write; within a burst `upstreamBurst` does. */
  #flush(): void {
    if (this.#link.reading || this.#flushes) return;
    this.#flushes = true;
    this.#guard.settled(NOW, () => {
      this.#flushes = false;
      if (!this.#link.reading) this.#link.outbox.flush();
    });
  }
}

/** Settled: what follows it runs behind all that has been settled before. */
const NOW = Promise.resolve();

function ignore(): void {}

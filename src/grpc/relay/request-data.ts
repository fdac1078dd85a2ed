import type { FrameKind } from '../../http2/budget.ts';
import { ErrorCode, Flag, type Frame, Http2Fault } from '../../http2/frames.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import { INTERNAL_FAULT } from '../../policy/denial.ts';
import type { GrpcExchange } from '../exchange.ts';
import { type InspectionStep, type MeasureStep, MessageChecks } from '../message/message-checks.ts';
import { isUnary } from '../resolve.ts';
import type { GrpcRelayOptions } from './options.ts';
import type { RelayCore } from './relay-core.ts';
import { passHeld, type UpstreamSide } from './upstream-side.ts';

/** The request DATA of a connection's calls: held, inspected, discarded or forwarded, by the state of each call. */
export class RequestData {
  readonly #core: RelayCore;
  readonly #upstream: UpstreamSide;
  readonly #clock: () => number;
  readonly #checks: MessageChecks;
  /** Permitted calls that go upstream at the end of the client's burst, unless they are reset in it. */
  readonly #toOpen: GrpcExchange[] = [];
  /** True = frames of the client are being processed. */
  inBurst = false;

  constructor(core: RelayCore, upstream: UpstreamSide, guard: Guard, options: GrpcRelayOptions) {
    this.#core = core;
    this.#upstream = upstream;
    this.#clock = options.clock;
    this.#checks = new MessageChecks({
      limits: options.messageLimits,
      noteNames: options.noteNames ?? false,
      moved: (exchange, fault) => guard.run(() => this.#moved(exchange, fault)),
    });
  }

  /** Starts the inspection of a call, whose names decide. */
  inspect(exchange: GrpcExchange, conditional: Conditional): void {
    exchange.state = 'inspecting';
    this.#judged(exchange, this.#checks.begin(exchange, conditional));
  }

  /** Relays a permitted call. */
  permit(exchange: GrpcExchange, permit: Permit): void {
    exchange.state = 'relayed';
    const guarded = exchange.measures;
    const standing = guarded ? this.#checks.guard(exchange) : 'pass';
    if (!guarded) this.#checks.follow(exchange);
    // A measured unary call goes upstream with its first frame, so that nothing of a refused one does.
    const waits =
      (exchange.guard !== undefined || exchange.unmeasured) && exchange.held.isEmpty && !exchange.clientEnded;
    if (!waits || !isUnary(permit.operation)) this.#proceed(exchange, standing);
  }

  /** All frames of a burst have been processed: continues the calls that waited for its end. */
  endBurst(): void {
    for (const exchange of this.#toOpen) {
      exchange.opensWithBurst = false;
      if (this.#core.streams.has(exchange) && exchange.state === 'relayed')
        this.#proceed(exchange, this.#checks.standing(exchange));
      exchange.held.keep();
    }
    this.#toOpen.length = 0;
    if (this.#core.window.exhausted) this.#release();
  }

  /** Called when the connection ends. */
  clear(): void {
    this.#toOpen.length = 0;
  }

  /** DATA of an open stream, in any state of its call. */
  take(exchange: GrpcExchange, frame: Frame, bytes: number): void {
    exchange.received += bytes;
    exchange.flowBytes += frame.length;
    exchange.activeAt = this.#clock();
    const { contentLength } = exchange.head;
    exchange.clientEnded = frame.has(Flag.END_STREAM);
    if (
      contentLength >= 0 &&
      (exchange.received > contentLength || (exchange.clientEnded && exchange.received < contentLength))
    ) {
      throw lengthFault(exchange.id);
    }
    switch (exchange.state) {
      case 'relayed':
        this.#takeRelayed(exchange, frame);
        break;
      case 'local':
        this.#core.window.swallowed(frame.length);
        this.#core.calls.settleEnd(exchange);
        break;
      case 'collecting':
        this.#core.calls.collect(exchange, frame);
        break;
      case 'inspecting':
        this.#takeInspected(exchange, frame);
        break;
      default:
        exchange.held.add(frame);
        // Undecided and above a window's size: only a client that exceeds its window gets here.
        if (exchange.held.bytes > this.#core.streamWindows.mostFromClient)
          throw new Http2Fault(ErrorCode.FLOW_CONTROL_ERROR, exchange.id, 'window exceeded');
    }
  }

  #takeInspected(exchange: GrpcExchange, frame: Frame): void {
    const found = this.#checks.whole(exchange, frame);
    exchange.held.lend(frame);
    this.#judged(exchange, found ?? this.#checks.next(exchange, frame));
    if (!exchange.opensWithBurst) exchange.held.keep();
  }

  #takeRelayed(exchange: GrpcExchange, frame: Frame): void {
    const standing = this.#checks.measure(exchange, frame);
    if (standing === 'pass' && exchange.opened && exchange.held.isEmpty) {
      this.#upstream.pass(exchange, frame);
      this.#core.calls.settleEnd(exchange);
      return;
    }
    exchange.held.lend(frame);
    this.#proceed(exchange, standing);
    if (!exchange.opensWithBurst) exchange.held.keep();
  }

  /** Sends the held DATA of a permitted call upstream, refuses it, or keeps it. */
  #proceed(exchange: GrpcExchange, standing: MeasureStep): void {
    if (standing === 'hold') return;
    if (standing !== 'pass') this.#core.calls.reject(exchange, standing);
    else if (exchange.opened) passHeld(this.#upstream, exchange);
    else if (this.inBurst) this.#openWithBurst(exchange);
    else this.#upstream.open(exchange);
    this.#core.calls.settleEnd(exchange);
  }

  #openWithBurst(exchange: GrpcExchange): void {
    if (exchange.opensWithBurst) return;
    exchange.opensWithBurst = true;
    this.#toOpen.push(exchange);
  }

  /** A wait for inflating has ended. */
  #moved(exchange: GrpcExchange, fault: unknown): void {
    if (!this.#core.streams.has(exchange)) return;
    try {
      if (fault !== undefined) throw fault;
      if (exchange.state === 'inspecting') this.#judged(exchange, this.#checks.proceed(exchange));
      else if (exchange.state === 'relayed') this.#proceed(exchange, this.#checks.standing(exchange));
    } catch (error) {
      this.#core.parts.fault(error, exchange);
      this.#core.calls.reject(exchange, INTERNAL_FAULT);
    }
    if (!this.#core.client.inBurst) this.#core.burstEnded();
  }

  /**
   * Calls that wait for the rest of their message use up the window common to all calls of the client. Without more
   * window none of them could be completed, so their held DATA goes upstream, which grants more. Those that are held whole give
   * back what they have taken.
   */
  #release(): void {
    for (const exchange of this.#core.streams.all()) {
      this.#core.window.swallowed(exchange.owedCredit);
      exchange.owedCredit = 0;
      if (exchange.state !== 'inspecting' || exchange.held.bytes === 0) continue;
      this.#judged(exchange, this.#checks.proceed(exchange, true));
    }
  }

  /**
   * Sends the held DATA of a message that is too large to hold, all but the message's end: upstream executes nothing
   * before the message is complete, and its end is sent only after the decision.
   */
  #judged(exchange: GrpcExchange, judgement: InspectionStep): void {
    if (judgement === 'hold') return;
    if (judgement === 'stream') {
      if (!exchange.opened) this.#upstream.open(exchange);
      else passHeld(this.#upstream, exchange);
    } else if (exchange.conditional) {
      this.#core.calls.bodyChecked(exchange, exchange.conditional, judgement);
    }
  }
}

/** The fault of more or fewer bytes than `content-length`. */
export function lengthFault(streamId: number): Http2Fault {
  return new Http2Fault(ErrorCode.PROTOCOL_ERROR, streamId, 'content-length does not match the data');
}

/** The price of a small DATA frame: inspected or forwarded bytes are useful; with padding they are kept one by one. */
export function littleKind({ state }: GrpcExchange, frame: Frame): FrameKind {
  if (frame.length === 0 || frame.has(Flag.PADDED)) return 'data_small';
  return state === 'local' ? 'data_late_small' : 'data';
}

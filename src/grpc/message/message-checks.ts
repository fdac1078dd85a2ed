import { dataOf, Flag, FRAME_HEADER_BYTES, type Frame, frameOf, leadingDataOf } from '../../http2/frames.ts';
import { type Conditional, type References, settle } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { GrpcOperation } from '../../policy/operation.ts';
import type { GrpcExchange } from '../exchange.ts';
import { isUnary, resolveGrpc } from '../resolve.ts';
import type { ScannedNames } from './found-names.ts';
import { createInspector, inspectWhole, type MessageInspector, namesOf, referencesOf } from './inspect.ts';
import { rowForNames } from './inspect-shapes.ts';
import { isCarried, type MessageLimits } from './message.ts';

/**
 * - `hold`: more bytes are needed
 * - `stream`: held bytes may go upstream, except the end of the message
 * - else the result
 */
export type InspectionStep = 'hold' | 'stream' | References | Denial;

/**
 * Of a call that is measured:
 * - `hold`: held bytes must wait
 * - `pass`: held bytes may go upstream
 */
export type MeasureStep = 'hold' | 'pass' | Denial;

export interface MessageCheckOptions {
  readonly limits: MessageLimits;
  /** True = names are read even if the decision does not need them. */
  readonly noteNames: boolean;
  /** Called after a wait for inflating: check the call again. `fault` is an internal error. */
  readonly moved: (exchange: GrpcExchange, fault?: unknown) => void;
}

/**
 * Reads request messages while they arrive: for names if a decision waits for them, else for nesting.
 *
 * INVARIANT: upstream executes a unary call when its stream ends. The bytes that complete its message are held until
 * the client has ended the stream without a second message, so a second one is refused before the first can have been
 * executed.
 */
export class MessageChecks {
  readonly #options: MessageCheckOptions;

  constructor(options: MessageCheckOptions) {
    this.#options = options;
  }

  /** Starts to read the names, beginning with the held bytes. */
  begin(exchange: GrpcExchange, conditional: Conditional): InspectionStep {
    exchange.conditional = conditional;
    if (this.#mayComeWhole(exchange)) {
      exchange.unread = true;
      return 'hold';
    }
    const inspector = this.#open(exchange);
    exchange.inspector = inspector;
    for (const raw of exchange.held.frames) inspector.push(dataOf(frameOf(raw)));
    return this.proceed(exchange);
  }

  /** Reads a call whose only DATA frame has arrived, without an inspector. `undefined` = an inspector is needed. */
  whole(exchange: GrpcExchange, frame: Frame): References | Denial | undefined {
    const { conditional } = exchange;
    const names = conditional && exchange.unread ? this.#readWhole(exchange, frame) : undefined;
    if (!names || !conditional) return undefined;
    exchange.unread = false;
    const found = 'kind' in names ? names : referencesOf(rowOf(exchange), names, conditional.access);
    if (!('kind' in found)) exchange.target = conditional.target ?? found.target;
    return found;
  }

  /** Reads the next DATA frame of an inspected call, which has been added to the held ones. */
  next(exchange: GrpcExchange, frame: Frame): InspectionStep {
    if (exchange.unread) exchange.inspector = this.#open(exchange);
    exchange.unread = false;
    if (exchange.inspector) pushData(exchange.inspector, frame);
    return this.proceed(exchange);
  }

  /** The state of an inspected call. @param pressed the client has no window left to send more */
  proceed(exchange: GrpcExchange, pressed = false): InspectionStep {
    const { inspector, conditional } = exchange;
    if (!inspector || !conditional) return INTERNAL_FAULT;
    if (exchange.clientEnded) inspector.end();
    // The client's window bounds the bytes that wait here.
    if (inspector.busy) return 'hold';
    if (inspector.state === 'reading') {
      // INVARIANT: a call that streams continues frame by frame, or upstream would wait for held bytes before it grants
      // more.
      const begun = exchange.opened;
      if (!begun && !pressed && exchange.held.bytes <= exchange.holdLimit) return 'hold';
      const judged = decideSoFar(inspector, conditional);
      if (judged !== 'stream') exchange.references = { target: inspector.targetSoFar ?? '', others: [] };
      return judged;
    }
    const found = inspector.found(conditional.access) ?? inspector.refusal ?? INTERNAL_FAULT;
    if (!exchange.clientEnded && !('kind' in found) && isPermitted(conditional, found)) return 'hold';
    exchange.inspector = undefined;
    if (!('kind' in found)) exchange.target = conditional.target ?? found.target;
    return found;
  }

  /** Starts to measure nesting, beginning with the held bytes. */
  guard(exchange: GrpcExchange): MeasureStep {
    if (this.#mayComeWhole(exchange)) {
      exchange.unmeasured = true;
      return 'pass';
    }
    const guard = this.#open(exchange);
    exchange.guard = guard;
    for (const raw of exchange.held.frames) guard.push(dataOf(frameOf(raw)));
    return this.standing(exchange);
  }

  /** Starts to read the names of a decided call, if they are wanted. Delays nothing. */
  follow(exchange: GrpcExchange): void {
    const operation = operationOf(exchange);
    if (!this.#options.noteNames || exchange.references || operation.collectionField === undefined) return;
    const { encoding } = exchange.head;
    const { limits } = this.#options;
    exchange.follower = createInspector(operation, { encoding, limits, moved: () => note(exchange) });
    for (const raw of exchange.held.frames) exchange.follower.push(dataOf(frameOf(raw)));
    note(exchange);
  }

  /** Measures the next DATA frame. Unless all held bytes may pass with it, it must be held, too. */
  measure(exchange: GrpcExchange, frame: Frame): MeasureStep {
    if (exchange.follower) {
      pushData(exchange.follower, frame);
      note(exchange);
    }
    if (exchange.unmeasured) {
      exchange.unmeasured = false;
      const names = this.#readWhole(exchange, frame);
      if (names) {
        if ('kind' in names) return names;
        if (this.#options.noteNames) exchange.references ??= namesOf(operationOf(exchange), names);
        return 'pass';
      }
      exchange.guard = this.#open(exchange);
    }
    if (exchange.guard) pushData(exchange.guard, frame);
    return this.standing(exchange);
  }

  /** True for `pass`: the held bytes may go upstream. */
  standing(exchange: GrpcExchange): MeasureStep {
    const { guard } = exchange;
    if (!guard) return 'pass';
    if (guard.state === 'refused') return guard.refusal ?? INTERNAL_FAULT;
    if (guard.busy) return 'hold';
    if (this.#options.noteNames) exchange.references ??= guard.named;
    return guard.state === 'found' && !exchange.clientEnded && isUnary(operationOf(exchange)) ? 'hold' : 'pass';
  }

  /** True = no bytes yet, and the first frame may contain the whole message, so that no inspector is needed. */
  #mayComeWhole({ clientEnded, head, held }: GrpcExchange): boolean {
    return held.isEmpty && !clientEnded && isCarried(head.encoding);
  }

  #readWhole(exchange: GrpcExchange, frame: Frame): ScannedNames | Denial | undefined {
    if (!exchange.clientEnded || exchange.received !== frame.length) return undefined;
    if (frame.rest || frame.has(Flag.PADDED)) return undefined;
    const from = frame.start + FRAME_HEADER_BYTES;
    const to = from + frame.length;
    return inspectWhole(rowOf(exchange), exchange.head.encoding, frame.source, from, to, checksOf(exchange));
  }

  #open(exchange: GrpcExchange): MessageInspector {
    const { limits, moved } = this.#options;
    const { encoding } = exchange.head;
    const continued = (fault?: unknown): void => moved(exchange, fault);
    return createInspector(rowOf(exchange), { encoding, limits, ...checksOf(exchange), moved: continued });
  }
}

function checksOf({ refusesDotNames, wantsFacts }: GrpcExchange) {
  return { refusesDotNames, facts: wantsFacts };
}

function pushData(inspector: MessageInspector, frame: Frame): void {
  const trailing = frame.trailingData;
  inspector.push(leadingDataOf(frame));
  if (trailing) inspector.push(trailing);
}

function operationOf({ head, resolution }: GrpcExchange): GrpcOperation {
  return (resolution ?? resolveGrpc(head.path)).operation;
}

/** The row by which the message is read: for names if the decision or their form matters. */
function rowOf(exchange: GrpcExchange): GrpcOperation {
  const operation = operationOf(exchange);
  return exchange.conditional || exchange.refusesDotNames ? rowForNames(operation) : operation;
}

/** Upstream refuses a message that cannot be read: no decision depends on these names. */
function note(exchange: GrpcExchange): void {
  const { follower } = exchange;
  if (!follower || follower.busy || follower.state === 'reading') return;
  exchange.references ??= follower.named;
  follower.stop();
  exchange.follower = undefined;
}

/** True = the call will be executed, so its end must wait for the client's. */
function isPermitted(conditional: Conditional, found: References): boolean {
  return conditional.sure !== undefined || settle(conditional, found).kind === 'permit';
}

/**
 * A message that begins with a forbidden name is refused on it, although a later one would replace it: nothing is sent
 * on.
 */
function decideSoFar(inspector: MessageInspector, conditional: Conditional): InspectionStep {
  // A call that is permitted in any case is read for its names only.
  if (conditional.sure) return 'stream';
  const named = inspector.targetSoFar;
  const decision = named === undefined ? undefined : settle(conditional, { target: named, others: [] });
  return decision?.kind === 'denial' ? decision : 'stream';
}

import { dataOf, Flag, FRAME_HEADER_BYTES, type Frame } from '../../http2/frames.ts';
import { type Conditional, type References, settle } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { GrpcOperation } from '../../policy/operation.ts';
import type { GrpcExchange } from '../exchange.ts';
import { frameOf } from '../relay/upstream-link.ts';
import { isUnary, resolveGrpc } from '../resolve.ts';
import { createInspector, inspectWhole, type MessageInspector, namesOf, referencesOf } from './inspect.ts';
import type { ScannedNames } from './inspect-scan.ts';
import { isCarried, type MessageLimits } from './message.ts';

/** - `hold`: more is needed - `stream`: what is held may go upstream, the message's end excepted - else what was found */
export type InspectionStep = 'hold' | 'stream' | References | Denial;

/** Of a call that is measured: - `hold`: what is held has to wait - `pass`: it may go upstream */
export type MeasureStep = 'hold' | 'pass' | Denial;

export interface MessageCheckOptions {
  readonly limits: MessageLimits;
  /** Names are wanted of messages, too, whose decision needs none. */
  readonly noteNames: boolean;
  /** What could not be read at once has been read: judge the call again. With a fault of ours, if there was one. */
  readonly moved: (exchange: GrpcExchange, fault?: unknown) => void;
}

/**
 * Reads request messages while they arrive: for names where a decision waits for them, for nesting everywhere else.
 *
 * INVARIANT: upstream runs a unary call when its stream ends. What completes its message is held until the client has
 * ended the stream without another message, so a second one is refused before the first can have run.
 */
export class MessageChecks {
  readonly #options: MessageCheckOptions;

  constructor(options: MessageCheckOptions) {
    this.#options = options;
  }

  /** Begins to read for names what is held and what comes. */
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

  /** The only DATA frame of a call that is being read, if it can be read as it stands. `undefined` = not so. */
  whole(exchange: GrpcExchange, frame: Frame): References | Denial | undefined {
    const { conditional } = exchange;
    const names = conditional && exchange.unread ? this.#readWhole(exchange, frame) : undefined;
    if (!names || !conditional) return undefined;
    exchange.unread = false;
    const found = 'kind' in names ? names : referencesOf(operationOf(exchange), names, conditional.access);
    if (!('kind' in found)) exchange.target = conditional.target ?? found.target;
    return found;
  }

  /** The next DATA frame of a call that is being read; it has been put with what is held. */
  next(exchange: GrpcExchange, frame: Frame): InspectionStep {
    if (exchange.unread) exchange.inspector = this.#open(exchange);
    exchange.unread = false;
    exchange.inspector?.push(dataOf(frame));
    return this.proceed(exchange);
  }

  /** What has become of a call that is being read. @param pressed the client has no window left to send more with */
  proceed(exchange: GrpcExchange, pressed = false): InspectionStep {
    const { inspector, conditional } = exchange;
    if (!inspector || !conditional) return INTERNAL_FAULT;
    if (exchange.clientEnded) inspector.end();
    // What waits here is what the client's window lets it send.
    if (inspector.busy) return 'hold';
    if (inspector.state === 'reading') {
      // INVARIANT: what has begun to stream goes on frame by frame, or upstream would wait for what is held to grant more.
      const begun = exchange.upstreamId !== 0;
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

  /** Begins to measure: reads what is held. */
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

  /** Begins to read the names of a call whose decision needed none, where they are wanted. It waits for nothing here. */
  follow(exchange: GrpcExchange): void {
    const operation = operationOf(exchange);
    if (!this.#options.noteNames || exchange.references || operation.collectionField === undefined) return;
    const { encoding } = exchange.head;
    const { limits } = this.#options;
    exchange.follower = createInspector(operation, { encoding, limits, moved: () => note(exchange) });
    for (const raw of exchange.held.frames) exchange.follower.push(dataOf(frameOf(raw)));
    note(exchange);
  }

  /** The next DATA of a call; unless it may pass with all that is held, it has to be held, too. */
  measure(exchange: GrpcExchange, frame: Frame): MeasureStep {
    if (exchange.follower) {
      exchange.follower.push(dataOf(frame));
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
    exchange.guard?.push(dataOf(frame));
    return this.standing(exchange);
  }

  /** May what is held go upstream? */
  standing(exchange: GrpcExchange): MeasureStep {
    const { guard } = exchange;
    if (!guard) return 'pass';
    if (guard.state === 'refused') return guard.refusal ?? INTERNAL_FAULT;
    if (guard.busy) return 'hold';
    if (this.#options.noteNames) exchange.references ??= guard.named;
    return guard.state === 'found' && !exchange.clientEnded && isUnary(operationOf(exchange)) ? 'hold' : 'pass';
  }

  /** Nothing has come yet: the first frame may hold all there is, and then no inspector is needed. */
  #mayComeWhole({ clientEnded, head, held }: GrpcExchange): boolean {
    return held.isEmpty && !clientEnded && isCarried(head.encoding);
  }

  #readWhole(exchange: GrpcExchange, frame: Frame): ScannedNames | Denial | undefined {
    if (!exchange.clientEnded || exchange.received !== frame.length || frame.has(Flag.PADDED)) return undefined;
    const from = frame.start + FRAME_HEADER_BYTES;
    return inspectWhole(operationOf(exchange), exchange.head.encoding, frame.source, from, from + frame.length);
  }

  #open(exchange: GrpcExchange): MessageInspector {
    const { limits, moved } = this.#options;
    const { encoding } = exchange.head;
    return createInspector(operationOf(exchange), { encoding, limits, moved: (fault) => moved(exchange, fault) });
  }
}

function operationOf({ head, resolution }: GrpcExchange): GrpcOperation {
  return (resolution ?? resolveGrpc(head.path)).operation;
}

/** What cannot be read is upstream's to refuse: nothing hangs on these names. */
function note(exchange: GrpcExchange): void {
  const { follower } = exchange;
  if (!follower || follower.busy || follower.state === 'reading') return;
  exchange.references ??= follower.named;
  follower.stop();
  exchange.follower = undefined;
}

/** Will it be carried out, so that its end has to wait for the client's? */
function isPermitted(conditional: Conditional, found: References): boolean {
  return conditional.sure !== undefined || settle(conditional, found).kind === 'permit';
}

/** A message that begins with a forbidden name is refused on it, although a later one would win: nothing is sent on. */
function decideSoFar(inspector: MessageInspector, conditional: Conditional): InspectionStep {
  // What is permitted whatever it names is read for its names only.
  if (conditional.sure) return 'stream';
  const named = inspector.targetSoFar;
  const decision = named === undefined ? undefined : settle(conditional, { target: named, others: [] });
  return decision?.kind === 'denial' ? decision : 'stream';
}

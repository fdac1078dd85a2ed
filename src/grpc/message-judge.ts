import { type Conditional, type References, settle } from '../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../policy/denial.ts';
import { dataOf, type Frame } from './frames.ts';
import type { GrpcExchange } from './grpc-exchange.ts';
import { createInspector, type MessageInspector } from './inspect.ts';
import type { MessageLimits } from './message.ts';
import { resolveGrpc } from './resolve.ts';
import { frameOf } from './upstream-link.ts';

/** DATA of one call that is held before its message has been judged; past it the call streams, all but its end. */
const HOLD_BYTES = 49_152;

/** - `hold`: more is needed - `stream`: what is held may go upstream, the message's end excepted - else what was found */
export type Judgement = 'hold' | 'stream' | References | Denial;

/** Reads request messages while they arrive: for names where a decision waits for them, for nesting everywhere else. */
export class MessageJudge {
  readonly #limits: MessageLimits;
  readonly #guardAll: boolean;

  constructor(limits: MessageLimits, guardAll: boolean) {
    this.#limits = limits;
    this.#guardAll = guardAll;
  }

  /** Begins to read for names what is held and what comes. */
  begin(exchange: GrpcExchange, conditional: Conditional): Judgement {
    const inspector = this.#open(exchange);
    exchange.conditional = conditional;
    exchange.inspector = inspector;
    for (const raw of exchange.held) inspector.push(dataOf(frameOf(raw)));
    return this.judge(exchange, inspector, conditional);
  }

  /** The next DATA frame of a call that is being read; it has been put with what is held. */
  next(exchange: GrpcExchange, frame: Frame): Judgement {
    const { inspector, conditional } = exchange;
    if (!inspector || !conditional) return INTERNAL_FAULT;
    inspector.push(dataOf(frame));
    return this.judge(exchange, inspector, conditional);
  }

  judge(exchange: GrpcExchange, inspector: MessageInspector, conditional: Conditional): Judgement {
    if (exchange.clientEnded) inspector.end();
    if (inspector.state === 'reading') {
      return exchange.heldBytes > HOLD_BYTES ? judgeSoFar(exchange, inspector, conditional) : 'hold';
    }
    const found = inspector.found(conditional.access) ?? inspector.refusal ?? INTERNAL_FAULT;
    exchange.inspector = undefined;
    exchange.measured = inspector.state === 'found';
    if (!('kind' in found)) exchange.target = conditional.target ?? found.target;
    return found;
  }

  /** Does a permitted call still have to be measured for nesting? */
  isGuarded(exchange: GrpcExchange): boolean {
    if (exchange.measured) return false;
    const access = exchange.principal?.access;
    return this.#guardAll || access?.kind !== 'global' || access.mode !== 'm';
  }

  /** Begins to measure; reads what is held. A denial when it nests too deeply already. */
  guard(exchange: GrpcExchange): Denial | undefined {
    exchange.guard = this.#open(exchange);
    for (const raw of exchange.held) {
      const refusal = this.measure(exchange, dataOf(frameOf(raw)));
      if (refusal) return refusal;
    }
    return undefined;
  }

  /** Upstream decodes a message when it is whole: a frame may be sent on once its bytes have been measured. */
  measure(exchange: GrpcExchange, payload: Buffer): Denial | undefined {
    const { guard } = exchange;
    if (!guard) return undefined;
    guard.push(payload);
    if (guard.state !== 'refused') return undefined;
    exchange.guard = undefined;
    return guard.refusal ?? INTERNAL_FAULT;
  }

  #open({ head }: GrpcExchange): MessageInspector {
    return createInspector(resolveGrpc(head.path).operation, { encoding: head.encoding, limits: this.#limits });
  }
}

/** A message that begins with a forbidden name is refused on it, although a later one would win: nothing is sent on. */
function judgeSoFar(exchange: GrpcExchange, inspector: MessageInspector, conditional: Conditional): Judgement {
  const named = inspector.targetSoFar;
  const decision = named === undefined ? undefined : settle(conditional, { target: named, others: [] });
  if (decision?.kind !== 'denial') return 'stream';
  exchange.inspector = undefined;
  return decision;
}

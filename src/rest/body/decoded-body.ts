import { shareOwner } from '../../exchange/share-owner.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Turn } from '../../limits/fair-queue.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import { headerValues, type RestExchange } from '../exchange.ts';
import type { LaneContext } from '../options.ts';
import { bodyIdleOf } from '../time-limits.ts';
import { freeMemory } from './bytes.ts';
import { INLINE_BYTES } from './check-pool.ts';
import { HeldBody } from './held-body.ts';
import { readBody } from './read-body.ts';
import type { BodyFinding, BodyTask } from './task.ts';

/**
 * Reads the whole body, decodes and checks it. Calls `settle` once, with the finding or a denial, or never when the client
 * has left. The bytes as received are kept in `exchange.body`, to be forwarded; a body that was read before is not read
 * again. An internal fault denies.
 */
export function withDecodedBody(
  exchange: RestExchange,
  options: LaneContext,
  task: BodyTask,
  settle: (found: BodyFinding) => void,
): void {
  const checkHeld = (body: HeldBody): void => new BodyCheck(exchange, options, { task, settle, held: body }).decode();
  const hold = (body: HeldBody | Denial): void => {
    if (!(body instanceof HeldBody)) {
      settle(body);
      return;
    }
    exchange.body = body;
    exchange.life.onEnd(() => body.release());
    if (!exchange.life.ended) checkHeld(body);
  };
  if (exchange.body) checkHeld(exchange.body);
  else if (exchange.hasBody) {
    const limits = {
      maxBytes: options.limits.inspected_body_bytes,
      idleMs: bodyIdleOf(exchange, options.limits.body_idle_timeout_ms),
      budget: options.budget,
    };
    readBody(exchange, limits, hold);
  } else hold(new HeldBody(Buffer.alloc(0)));
}

interface CheckedBody {
  readonly task: BodyTask;
  readonly settle: (found: BodyFinding) => void;
  readonly held: HeldBody;
}

/** One body on its way through the decoder and the check pool. Borrowed bytes are given back on every path. */
class BodyCheck {
  readonly #exchange: RestExchange;
  readonly #options: LaneContext;
  readonly #checked: CheckedBody;
  readonly #guard: Guard;

  constructor(exchange: RestExchange, options: LaneContext, checked: CheckedBody) {
    this.#exchange = exchange;
    this.#options = options;
    this.#checked = checked;
    this.#guard = exchange.guard.at('body');
  }

  decode(): void {
    const { held } = this.#checked;
    const { life } = this.#exchange;
    const body = held.lend();
    this.#options.decoder.decode({
      owner: shareOwner(this.#exchange),
      body,
      codings: headerValues(this.#exchange.headers, 'content-encoding'),
      life,
      guard: this.#guard,
      done: (decoded, turn) => {
        if (decoded === body) {
          this.#checkPool(body, (back) => held.giveBack(back));
          return;
        }
        held.giveBack(body);
        if (Buffer.isBuffer(decoded)) this.#checkPool(decoded, (back) => this.#forget(back, turn));
        else this.#settle(decoded);
      },
      fail: (error) => {
        held.giveBack(body);
        this.#fail(error);
      },
      dropped: () => held.giveBack(body),
    });
  }

  /** @param giveBack called once with the bytes, if they are not lost */
  #checkPool(body: Buffer, giveBack: (body: Buffer | undefined) => void): void {
    this.#options.checkPool.check({
      task: this.#checked.task,
      body,
      own: body.length > INLINE_BYTES,
      owner: shareOwner(this.#exchange),
      life: this.#exchange.life,
      guard: this.#guard,
      done: (found, back) => {
        giveBack(back);
        this.#settle(found);
      },
      fail: (error, back) => {
        giveBack(back);
        this.#fail(error);
      },
      dropped: giveBack,
    });
  }

  /** Frees the decoded copy: only the check needs it, upstream gets the bytes as received. */
  #forget(decoded: Buffer | undefined, turn: Turn | undefined): void {
    if (decoded) freeMemory(decoded);
    turn?.end();
  }

  #fail(error: unknown): void {
    this.#options.parts.fault(error, this.#exchange, 'body');
    this.#settle(INTERNAL_FAULT);
  }

  #settle(found: BodyFinding): void {
    if (!this.#exchange.life.ended) this.#checked.settle(found);
  }
}

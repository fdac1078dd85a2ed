import { Readable } from 'node:stream';
import type { DepthMeter } from '../../json/depth.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Denial } from '../../policy/denial.ts';
import type { RestExchange } from '../exchange.ts';
import type { ClientRequest } from '../message.ts';
import { BODY_TIMEOUT, CUT_OFF } from './denials.ts';
import { TOO_DEEP } from './task.ts';

/** Most bytes of a body that are kept to be sent to a second node. */
export const KEPT_BYTES = 65_536;

/** The client's body ended before it was complete, or stood still for too long. */
export class BodyFault extends Error {
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(denial.message);
    this.denial = denial;
  }
}

/** Asks for the body of a client that waits to be asked. Call it only once the decision permits reading. */
export function askForBody(exchange: RestExchange): void {
  if (exchange.awaitsContinue) exchange.response.writeContinue();
}

/**
 * The request body as a stream that counts what came and ends with a `BodyFault` when it is cut off or stands still.
 * Backpressure goes through to the client's socket; while upstream does not take more, no time runs.
 */
export class RequestBody extends Readable {
  readonly #exchange: RestExchange;
  readonly #source: ClientRequest;
  readonly #timer: NodeJS.Timeout;
  readonly #meter: DepthMeter | undefined;
  readonly #guard: Guard;
  readonly #takeBack: () => void;
  readonly #onData: (chunk: Buffer) => void;
  readonly #onEnd: () => void;
  readonly #onClose: () => void;
  #stopped = false;
  /** All that came, if it may have to be sent again; `undefined` = it is not kept. */
  #kept: Buffer[] | undefined;
  #keptBytes = 0;
  #isWhole = false;

  /** @param meter measures the nesting before bytes are passed on; its fault ends the body */
  constructor(exchange: RestExchange, idleMs: number, meter?: DepthMeter) {
    super({ highWaterMark: 65_536 });
    this.#meter = meter;
    this.#exchange = exchange;
    this.#source = exchange.request;
    this.on('error', ignore);
    const guard = exchange.guard.at('body');
    this.#guard = guard;
    this.#onData = guard.entry((chunk: Buffer) => this.#take(chunk));
    this.#onEnd = guard.entry(() => this.#whole());
    this.#onClose = guard.entry(() => this.#cutOff());
    this.#timer = guard.after(idleMs, () => this.#standingStill()).unref();
    this.#source.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onClose);
    this.#takeBack = exchange.life.onEnd(() => this.#cutOff());
    exchange.upload = this;
  }

  /** Keeps what comes from now on, up to `KEPT_BYTES`. */
  keep(): void {
    this.#kept = [];
  }

  /** The whole body once more; `undefined` = it is not kept, or has not come whole. */
  again(): Buffer | undefined {
    return this.#isWhole && this.#kept ? Buffer.concat(this.#kept, this.#keptBytes) : undefined;
  }

  override _read(): void {
    this.#guard.run(() => {
      if (!this.#stopped) this.#source.resume();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#guard.run(() => this.#leave());
    done(error);
  }

  #leave(): void {
    this.#takeBack?.();
    this.stop();
  }

  /** Leaves reading the client, and pausing it, to others. The rest never comes here: this body is not ended as a whole one. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const source = this.#source;
    source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onClose);
  }

  #take(chunk: Buffer): void {
    this.#exchange.received += chunk.length;
    this.#timer.refresh();
    if (this.#meter?.push(chunk) === false) {
      this.destroy(new BodyFault(TOO_DEEP));
      return;
    }
    if (this.#kept) this.#keep(chunk);
    if (!this.push(chunk)) this.#source.pause();
  }

  #keep(chunk: Buffer): void {
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > KEPT_BYTES) this.#kept = undefined;
    else this.#kept?.push(chunk);
  }

  /** INVARIANT: a body that was cut off never ends as a whole one. */
  #whole(): void {
    this.#isWhole = true;
    clearTimeout(this.#timer);
    this.push(null);
  }

  #cutOff(): void {
    if (!this.#source.readableEnded) this.destroy(new BodyFault(CUT_OFF));
  }

  #standingStill(): void {
    if (this.#source.isPaused()) this.#timer.refresh();
    else this.destroy(new BodyFault(BODY_TIMEOUT));
  }
}

function ignore(): void {}

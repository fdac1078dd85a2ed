import type { Dispatcher } from 'undici';
import { HEALTHY } from '../health-routes.ts';
import { answerWhole, reject } from '../reject.ts';
import { StreamedAnswer } from '../server/forward.ts';
import { settledHeaders } from './settled-headers.ts';

/**
 * Upstream's answer about its health, or ours where upstream has no such route. Then upstream is asked for its release
 * instead: healthy is what tells it.
 */
export class HealthAnswer extends StreamedAnswer {
  #missing = false;

  protected override head(controller: Dispatcher.DispatchController, status: number, headers: string[]): void {
    if (status === 404) this.#missing = true;
    else super.head(controller, status, headers);
  }

  protected override data(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#missing) super.data(controller, chunk);
  }

  protected override end(): void {
    if (this.#missing) this.#askInstead();
    else super.end();
  }

  #askInstead(): void {
    this.complete = true;
    const { exchange, options } = this;
    const left = new AbortController();
    exchange.life.onEnd(() => left.abort());
    exchange.guard.settled(options.lookup.version(left.signal), (version) => {
      if (exchange.life.ended) return;
      if (typeof version === 'string') this.#sayHealthy();
      else reject(exchange, version, options.cors);
    });
  }

  #sayHealthy(): void {
    const { exchange, options } = this;
    const type = ['content-type', 'text/plain; charset=utf-8'];
    const text = HEALTHY.get(exchange.resolution?.operation.name ?? '') ?? '';
    answerWhole(exchange, 200, settledHeaders(exchange, type, options.cors), Buffer.from(text));
  }
}

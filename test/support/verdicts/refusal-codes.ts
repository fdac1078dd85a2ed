import type { Exchange } from '../../../src/exchange/exchange.ts';
import type { DenialCode } from '../../../src/policy/denial-codes.ts';
import { until } from '../until.ts';

/** Collects the code of each refused exchange by its header `x-mark`. */
export class RefusalCodes {
  readonly #codes = new Map<string, DenialCode>();

  /** An observer of a gateway. */
  readonly observe = ({ headers, refusal }: Exchange): void => {
    const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'x-mark');
    const mark = at < 0 ? undefined : headers[at + 1];
    if (mark !== undefined && refusal) this.#codes.set(mark, refusal.code);
  };

  /** The codes of these marks, and forgets them; waits for them, as an exchange is recorded after its answer. */
  async take(marks: readonly string[]): Promise<Readonly<Record<string, DenialCode | undefined>>> {
    await until(() => marks.every((mark) => this.#codes.has(mark)), `${marks.length} refusals are recorded`);
    const codes = Object.fromEntries(marks.map((mark) => [mark, this.#codes.get(mark)]));
    for (const mark of marks) this.#codes.delete(mark);
    return codes;
  }
}

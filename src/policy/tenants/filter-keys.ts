import { readsField } from './kept-fields.ts';
import { keysOf, matched, type PayloadField } from './payload-path.ts';
import { requestPath } from './request-path.ts';

/**
 * Judges the paths of a filter against the fields on which the caller sets no condition, in the order in which they are read.
 *
 * The path of an array may stand behind the filter on its objects. So inside of a nested filter it is noted for each key of each
 * field whether the filter reads the field if the array lies there: some bytes for each level that is open, however many conditions
 * it has.
 */
export class FilterKeys {
  readonly #fields: readonly PayloadField[];
  /** One for each nested filter that is open, innermost last: bytes by `#at`, 1 = a field is read from that key on. */
  readonly #open: Uint8Array[] = [];
  readonly #keys: number;

  constructor(fields: readonly PayloadField[]) {
    this.#fields = fields;
    this.#keys = fields.reduce((sum, field) => sum + field.length, 0);
  }

  /** A condition on the values at a path. Throws a refusal if it tells those of a field. A path that upstream refuses passes. */
  condition(path: string | undefined): void {
    this.#judge(
      path,
      (keys, field, begin) => matched(keys, field, begin) === Math.min(keys.length, field.length - begin),
    );
  }

  /** A nested filter begins, whose paths begin at the objects of an array. */
  open(): void {
    this.#open.push(new Uint8Array(this.#keys));
  }

  /** It ends. Throws as `condition`. What lies above a field may have others in it. @param path of the array */
  close(path: string | undefined): void {
    const inside = this.#open.pop();
    this.#judge(path, (keys, field, begin, at) => {
      const found = matched(keys, field, begin);
      if (begin + found === field.length) return true;
      return found === keys.length && inside?.[at + found] === 1;
    });
  }

  /** @param reads whether the field is read if the path begins at one of its keys, whose place in the bytes is `at` */
  #judge(
    path: string | undefined,
    reads: (keys: readonly string[], field: PayloadField, begin: number, at: number) => boolean,
  ): void {
    const steps = path === undefined ? undefined : requestPath(path);
    if (!steps) return;
    const keys = keysOf(steps);
    const around = this.#open.at(-1);
    let at = 0;
    for (const field of this.#fields) {
      if (!around && reads(keys, field, 0, at)) throw readsField(field);
      for (let begin = 0; around && begin < field.length; begin += 1) {
        if (reads(keys, field, begin, at + begin)) around[at + begin] = 1;
      }
      at += field.length;
    }
  }
}

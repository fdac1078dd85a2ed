import type { ExchangeFields } from './exchange-fields.ts';

/** The fields of a line, with those that tell its kind and its caller. */
export interface FoldedFields extends Partial<ExchangeFields> {
  /** Of a comparison: the verdicts of both sides. */
  readonly gateway?: string;
  readonly qdrant?: string;
}

/** Writes one line. */
export type WriteRefusal = (fields: object, message: string) => void;

export interface FoldOptions {
  readonly write: WriteRefusal;
  /** Calls `work` once, after so many milliseconds, without keeping the process alive. */
  readonly later: (ms: number, work: () => void) => void;
  /** Messages of what has no line of its own. Default: those of refusals. */
  readonly texts?: { readonly ofCaller: string; readonly ofOthers: string };
}

const REFUSALS = { ofCaller: 'further refusals of this caller', ofOthers: 'refusals of further callers' };

/** Bounds of one class of callers, within a minute. */
interface Bounds {
  /** Callers with lines of their own. */
  readonly callers: number;
  /** Different lines of one caller. */
  readonly lines: number;
}

const MINUTE_MS = 60_000;
/*
 * INVARIANT: a caller without a valid credential takes no line from one with a valid credential, and no caller takes lines from
 * another of its class before `callers` of them were refused within the minute.
 */
const KNOWN: Bounds = { callers: 256, lines: 16 };
const UNKNOWN: Bounds = { callers: 128, lines: 8 };

/** Lines of one caller: what was written, and how often it happened again. */
interface Caller {
  readonly first: object;
  readonly lines: Map<string, { readonly fields: object; readonly message: string; count: number }>;
  /** Refusals of further kinds. */
  more: number;
}

/**
 * Log lines of refusals, or of other verdicts: the first of a kind at once, its repetitions as one line with a `count` at the end of the minute. The number of
 * lines and the memory are bounded, whatever callers send.
 */
export class FoldedRefusals {
  readonly #options: FoldOptions;
  readonly #classes = {
    known: { bounds: KNOWN, callers: new Map<string, Caller>(), others: new Map<string, number>() },
    unknown: { bounds: UNKNOWN, callers: new Map<string, Caller>(), others: new Map<string, number>() },
  };
  #begun = false;

  constructor(options: FoldOptions) {
    this.#options = options;
  }

  /**
   * Takes one refusal.
   *
   * @param network the caller's address, or the network that counts as one client
   */
  add(message: string, fields: FoldedFields, network: string): void {
    if (!this.#begun) {
      this.#begun = true;
      this.#options.later(MINUTE_MS, () => this.flush());
    }
    const { key, subject, code = fields.gateway ?? '' } = fields;
    const isKnown = key !== undefined;
    const { bounds, callers, others } = this.#classes[isKnown ? 'known' : 'unknown'];
    const name = isKnown ? `${key}\n${subject ?? ''}` : network;
    const caller =
      callers.get(name) ?? this.#begin(callers, bounds, name, isKnown ? { key, subject } : { remote: network });
    if (caller === undefined) others.set(code, (others.get(code) ?? 0) + 1);
    else this.#tell(caller, bounds, message, fields);
  }

  /** Writes the counts of the minute, and forgets. */
  flush(): void {
    this.#begun = false;
    const { write, texts = REFUSALS } = this.#options;
    for (const { callers, others } of Object.values(this.#classes)) {
      for (const { lines, first, more } of callers.values()) {
        for (const { fields, message, count } of lines.values()) {
          if (count > 0) write({ ...fields, count }, `${message} again`);
        }
        if (more > 0) write({ ...first, count: more }, texts.ofCaller);
      }
      for (const [code, count] of others) write({ code, count }, texts.ofOthers);
      callers.clear();
      others.clear();
    }
  }

  #begin(callers: Map<string, Caller>, bounds: Bounds, name: string, first: object): Caller | undefined {
    if (callers.size >= bounds.callers) return undefined;
    const caller: Caller = { first, lines: new Map(), more: 0 };
    callers.set(name, caller);
    return caller;
  }

  #tell(caller: Caller, bounds: Bounds, message: string, fields: FoldedFields): void {
    const { tracing_id: _, ...kind } = fields;
    const { code, rule, operation, collection, remote, gateway, qdrant } = kind;
    const name = [message, code, rule, operation, collection, remote, gateway, qdrant].join('\n');
    const line = caller.lines.get(name);
    if (line) {
      line.count += 1;
      return;
    }
    if (caller.lines.size >= bounds.lines) {
      caller.more += 1;
      return;
    }
    caller.lines.set(name, { fields: kind, message, count: 0 });
    this.#options.write(fields, message);
  }
}

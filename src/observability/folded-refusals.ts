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
  /** Of them those of one key. */
  readonly ofKey: number;
  /** Different lines of one caller. */
  readonly lines: number;
  /** The same beside them for refusals that tell of more than a read. */
  readonly grave: number;
}

const MINUTE_MS = 60_000;
/*
 * INVARIANT: a caller without a valid credential takes no line from one with a valid credential, and no caller takes lines from
 * another of its class before `callers` of them were refused within the minute. Of those the subjects of one key take `ofKey`, and
 * its further subjects share the lines of one. Refused reads take no line from refused writes.
 */
const KNOWN: Bounds = { callers: 256, ofKey: 32, lines: 16, grave: 16 };
const UNKNOWN: Bounds = { callers: 128, ofKey: 128, lines: 8, grave: 0 };

/** Lines of one caller: what was written, and how often it happened again. */
interface Caller {
  readonly first: object;
  readonly lines: Map<string, { readonly fields: object; readonly message: string; count: number }>;
  /** Lines of refused reads, and of others. */
  plain: number;
  grave: number;
  /** Refusals of further kinds. */
  more: number;
}

/** One class of callers. */
interface Class {
  readonly bounds: Bounds;
  readonly callers: Map<string, Caller>;
  /** Callers of each key. */
  readonly ofKey: Map<string, number>;
  /** Refusals of callers without lines, by code. */
  readonly others: Map<string, number>;
}

function newClass(bounds: Bounds): Class {
  return { bounds, callers: new Map(), ofKey: new Map(), others: new Map() };
}

/**
 * Log lines of refusals, or of other verdicts: the first of a kind at once, its repetitions as one line with a `count` at the end of the minute. The number of
 * lines and the memory are bounded, whatever callers send.
 */
export class FoldedRefusals {
  readonly #options: FoldOptions;
  readonly #classes = { known: newClass(KNOWN), unknown: newClass(UNKNOWN) };
  #begun = false;

  constructor(options: FoldOptions) {
    this.#options = options;
  }

  /**
   * Takes one refusal.
   *
   * @param network the caller's address, or the network that counts as one client
   * @param isGrave true = it tells of more than a refused read: it has lines of its own
   */
  add(message: string, fields: FoldedFields, network: string, isGrave = false): void {
    if (!this.#begun) {
      this.#begun = true;
      this.#options.later(MINUTE_MS, () => this.flush());
    }
    const { key, subject, code = fields.gateway ?? '' } = fields;
    const { known, unknown } = this.#classes;
    const { bounds, others } = key === undefined ? unknown : known;
    const caller = key === undefined ? callerOf(unknown, network, { remote: network }) : ofKey(known, key, subject);
    if (caller === undefined) others.set(code, (others.get(code) ?? 0) + 1);
    else this.#tell(caller, bounds, { message, fields, isGrave });
  }

  /** Writes the counts of the minute, and forgets. */
  flush(): void {
    this.#begun = false;
    const { write, texts = REFUSALS } = this.#options;
    for (const { callers, ofKey: keys, others } of Object.values(this.#classes)) {
      for (const { lines, first, more } of callers.values()) {
        for (const { fields, message, count } of lines.values()) {
          if (count > 0) write({ ...fields, count }, `${message} again`);
        }
        if (more > 0) write({ ...first, count: more }, texts.ofCaller);
      }
      for (const [code, count] of others) write({ code, count }, texts.ofOthers);
      callers.clear();
      keys.clear();
      others.clear();
    }
  }

  #tell(
    caller: Caller,
    bounds: Bounds,
    {
      message,
      fields,
      isGrave,
    }: { readonly message: string; readonly fields: FoldedFields; readonly isGrave: boolean },
  ): void {
    const { tracing_id: _, ...kind } = fields;
    const { code, rule, operation, collection, remote, gateway, qdrant } = kind;
    const name = [message, code, rule, operation, collection, remote, gateway, qdrant].join('\n');
    const line = caller.lines.get(name);
    if (line) {
      line.count += 1;
      return;
    }
    // A grave one may also take a line of the others.
    const kindOf = isGrave && caller.grave < bounds.grave ? 'grave' : 'plain';
    if (caller[kindOf] >= (kindOf === 'grave' ? bounds.grave : bounds.lines)) {
      caller.more += 1;
      return;
    }
    caller[kindOf] += 1;
    caller.lines.set(name, { fields: kind, message, count: 0 });
    this.#options.write(fields, message);
  }
}

/** The caller with lines of its own, known or new; `undefined` = there are too many. */
function callerOf({ bounds, callers }: Class, name: string, first: object): Caller | undefined {
  const known = callers.get(name);
  if (known || callers.size >= bounds.callers) return known;
  const caller: Caller = { first, lines: new Map(), plain: 0, grave: 0, more: 0 };
  callers.set(name, caller);
  return caller;
}

/** The same by key and subject; subjects of a key with very many share one. */
function ofKey(known: Class, key: string, subject: string | undefined): Caller | undefined {
  const { bounds, callers, ofKey: keys } = known;
  const name = `${key}\n${subject ?? ''}`;
  const own = callers.get(name);
  if (own) return own;
  const count = keys.get(key) ?? 0;
  if (count >= bounds.ofKey) return callerOf(known, `${key}\n\n`, { key });
  const begun = callerOf(known, name, { key, subject });
  if (begun) keys.set(key, count + 1);
  return begun;
}

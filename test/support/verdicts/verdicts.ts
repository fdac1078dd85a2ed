import { loadCaseFile } from './cells.ts';
import type { Grant } from './principals.ts';

/**
 * One recorded answer to compare with. An outcome is a text: `served`, or status (gRPC: code) and text of an answer
 * that did not come from upstream, with `text: ` or `bare: ` before a REST text that is no JSON envelope where one
 * could be expected.
 */
export interface Verdict<Request> {
  /** The file of `test/cases` it was read from. */
  readonly file: string;
  readonly case: string;
  readonly principal: string;
  readonly grant: Grant;
  readonly request: Request;
  /** `served`, `served 404` where upstream answered with an error of its own, or the refusal in full. */
  readonly recorded: string;
  /** The matrix's refusal where upstream answers before its access check; then nothing may reach upstream. */
  readonly byMatrix?: string | undefined;
}

interface Deviation {
  /** A case file, or a test whose own cases say what upstream answers. */
  readonly file: string;
  readonly case: string;
  /** Principals; not given = any caller. */
  readonly who?: string;
  /** What the gateway answers: a text or its beginning, or the name of what was changed in the answer. */
  readonly instead: string;
  readonly reason: string;
}

const SERVED_WITH = /^served (\d+)$/;

/** Is this outcome the recorded one, or upstream's own answer given earlier by the gateway? */
export function agrees(outcome: string, { recorded, byMatrix }: Verdict<unknown>): boolean {
  if (outcome === 'served') return byMatrix === undefined && /^served( \d+)?$/.test(recorded);
  if (outcome === recorded || outcome === byMatrix) return true;
  const code = SERVED_WITH.exec(recorded)?.[1];
  return code !== undefined && (outcome === code || outcome.startsWith(`${code} `));
}

/** Where the gateway answers otherwise than upstream, on purpose. Never more permissive. */
export class Deviations {
  readonly #entries: readonly Deviation[];
  readonly #used = new Set<string>();

  constructor(...files: readonly string[]) {
    const { cases } = loadCaseFile<{ cases: readonly Deviation[] }>('deviations.json');
    this.#entries = cases.filter(({ file }) => files.includes(file));
  }

  /** The files that entries are for. */
  static files(): Set<string> {
    const { cases } = loadCaseFile<{ cases: readonly Deviation[] }>('deviations.json');
    return new Set(cases.map(({ file }) => file));
  }

  /** Is there an entry for this outcome? One that reached upstream is never covered. */
  covers({ file, case: name, principal }: Verdict<unknown>, outcome: string): boolean {
    if (outcome === 'served') return false;
    const entry = this.#entries.find((candidate) => {
      const asked = candidate.who === undefined || candidate.who.split(' ').includes(principal);
      return candidate.file === file && candidate.case === name && asked && outcome.startsWith(candidate.instead);
    });
    if (entry) this.#used.add(`${keyOf(entry)} as ${principal}`);
    return entry !== undefined;
  }

  /** The recorded answer where the outcome agrees with it or is a listed deviation, else the outcome: to be compared. */
  settled(outcome: string, verdict: Verdict<unknown>): string {
    return agrees(outcome, verdict) || this.covers(verdict, outcome) ? verdict.recorded : outcome;
  }

  /** Entries, with their principals, that no outcome needed. */
  stale(): string[] {
    const all = this.#entries.flatMap((entry) => {
      const names = entry.who?.split(' ');
      return names ? names.map((name) => `${keyOf(entry)} as ${name}`) : [`${keyOf(entry)} as `];
    });
    const used = [...this.#used];
    return all.filter((key) => !used.some((one) => one === key || (key.endsWith(' as ') && one.startsWith(key))));
  }
}

function keyOf({ file, case: name }: Deviation): string {
  return `${file}: ${name}`;
}

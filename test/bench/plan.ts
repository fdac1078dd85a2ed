/*
 * What a run consists of: rows (one workload each) with columns (who is measured), a sample of each column every round.
 */

/** Rows of one kind stand in one table. */
export type Family = 'cost' | 'latency' | 'growth' | 'nesting' | 'memory';

/** The names of all kinds, in the order of the tables. */
export const FAMILIES: readonly Family[] = ['cost', 'latency', 'growth', 'nesting', 'memory'];

/** What is told of a row. A figure is `cpu` (microseconds per request), `p50`, `p99` (milliseconds),
 * `bytes`, or `rate` (bytes per second). */
export type RowHead = {
  readonly id: string;
  readonly family: Family;
  readonly title: string;
  readonly figures: readonly FigureName[];
  /** MiB that one request moves, where that is much. */
  readonly mebibytes?: number;
  /** Id of the column that ratios are taken against. */
  readonly base: string | null;
};

export type FigureName = 'cpu' | 'p50' | 'p99' | 'bytes' | 'rate';

/** One column measured once. A figure that is missing counts as an error. */
export type Sample = {
  readonly figures: Readonly<Partial<Record<FigureName, number>>>;
  readonly errors: number;
  readonly firstError: string | null;
  /** Requests per second that came through. */
  readonly rate?: number;
  /** Shares of the gateway's core, 0 to 1: what it used, what other programs took. */
  readonly busy?: number;
  readonly others?: number;
};

/** One column of a row that can be measured. */
export type ColumnPlan = {
  readonly id: string;
  readonly label: string;
  /** What stands in place of figures; null where it can be measured. */
  readonly without: string | null;
  /** Seconds that one sample takes, roughly. */
  readonly seconds: number;
  /** Seconds that `prepare` takes, roughly. */
  readonly prepareSeconds: number;
  /** A sample before the first round, for compilers and caches, that is not counted. */
  readonly warmUpRound: boolean;
  /** Called once before the first round: starts what is measured. A rejection takes the column out. */
  readonly prepare: () => Promise<void>;
  /** Takes one sample. A rejection is a sample with an error. */
  readonly run: () => Promise<Sample>;
};

/** One row that can be measured. `rounds` bounds those of the run. */
export type RowPlan = RowHead & { readonly columns: readonly ColumnPlan[]; readonly mostRounds?: number };

/** One column of a row with what was measured, one sample each round. */
export type ColumnResult = {
  readonly id: string;
  readonly label: string;
  readonly without: string | null;
  readonly samples: readonly Sample[];
};

/** One row with what was measured. */
export type RowResult = RowHead & { readonly columns: readonly ColumnResult[] };

import { parseArgs } from 'node:util';
import { FAMILIES, type RowPlan } from './plan.ts';

/** What the command line asks for. `only` holds ids of contestants, `rows` ids of rows or families; null is all. */
export type Options = {
  readonly rounds: number;
  readonly window: { readonly warmUp: number; readonly seconds: number };
  readonly only: readonly string[] | null;
  readonly rows: readonly string[] | null;
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly profile: string | undefined;
  /** Tokens and idle connections of the rows that hold many. */
  readonly tokens: number;
  readonly idleConnections: number;
};

const FULL = { rounds: 5, seconds: 1.2, tokens: 100_000, idleConnections: 2000 };
/** Enough to see that everything runs, not to believe a figure. */
const QUICK = { rounds: 1, seconds: 0.5, tokens: 2000, idleConnections: 200 };

function positive(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0)) throw new Error(`\`--${name}\` takes a number above zero`);
  return value;
}

/** Reads the arguments; throws on unknown ones and values out of range. */
export function readOptions(args: string[]): Options {
  const string = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: string,
      seconds: string,
      rows: string,
      only: string,
      json: string,
      svg: string,
      profile: string,
    },
  });
  const size = values.quick ? QUICK : FULL;
  const seconds = positive('seconds', values.seconds, size.seconds);
  return {
    rounds: Math.ceil(positive('rounds', values.rounds, size.rounds)),
    window: { warmUp: Math.max(0.3, seconds / 4), seconds },
    only: values.only?.split(',') ?? null,
    rows: values.rows?.split(',') ?? null,
    json: values.json,
    svg: values.svg,
    profile: values.profile,
    tokens: size.tokens,
    idleConnections: size.idleConnections,
  };
}

/** The rows that `--rows` names, by id or by family; throws on a name that is neither. */
export function chosenRows(plans: readonly RowPlan[], names: readonly string[] | null): RowPlan[] {
  if (names === null) return [...plans];
  const known = [...FAMILIES, ...plans.map(({ id }) => id)];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`\`--rows\` knows ${known.join(', ')}; not \`${unknown}\``);
  return plans.filter(({ id, family }) => names.includes(id) || names.includes(family));
}

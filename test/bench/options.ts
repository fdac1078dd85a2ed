import { parseArgs } from 'node:util';
import type { Workload } from './measure.ts';

/** What the command line asks for. `only` holds ids of contestants; the others are files and a folder. */
export type Options = {
  readonly rounds: number;
  readonly seconds: number;
  readonly only: readonly string[] | null;
  readonly workloads: readonly Workload[];
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly profile: string | undefined;
};

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`\`--${name}\` takes a number above zero`);
  return value;
}

/** Reads the arguments; throws on unknown ones and values out of range. */
export function readOptions(args: string[]): Options {
  const string = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      rounds: { ...string, default: '3' },
      seconds: { ...string, default: '3' },
      workloads: { ...string, default: 'rest,grpc' },
      only: string,
      json: string,
      svg: string,
      profile: string,
    },
  });
  const { rounds, seconds, only, workloads, json, svg, profile } = values;
  const chosen = (['rest', 'grpc'] as const).filter((name) => workloads.split(',').includes(name));
  if (chosen.length === 0) throw new Error('`--workloads` takes `rest`, `grpc` or both with a comma');
  return {
    rounds: Math.ceil(positive('rounds', rounds)),
    seconds: positive('seconds', seconds),
    only: only?.split(',') ?? null,
    workloads: chosen,
    json,
    svg,
    profile,
  };
}

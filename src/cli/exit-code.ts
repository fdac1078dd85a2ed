/** Exit codes of the command line. */
export const exitCode = {
  ok: 0,
  /** Something failed while running. */
  failure: 1,
  /** The configuration or the arguments cannot be used. */
  usage: 2,
  /** The lines hold, but the ends of the chain are not anchored: `--from` and `--to` are missing. */
  unproven: 3,
  /** The command has done its work, and the answer is no: a refusal, a failed case, a finding. */
  negative: 4,
} as const;

/** One of the codes. */
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** The meaning of each code, for help and the reference page. */
export const exitMeanings: Readonly<Record<ExitCode, string>> = {
  0: 'done; a question is answered with yes',
  1: 'failed while running: a file, Qdrant or Redis did not do what was asked',
  2: 'arguments or configuration cannot be used',
  3: 'no error is found, but the check is incomplete',
  4: 'done, and the answer is no: a refusal, a failed case or a finding that matters',
};

/** Exit codes of the command line. */
export const exitCode = {
  ok: 0,
  /** Something failed while running. */
  failure: 1,
  /** The configuration or the arguments cannot be used. */
  usage: 2,
  /** The lines hold, but the ends of the chain are not anchored: `--from` and `--to` are missing. */
  unproven: 3,
} as const;

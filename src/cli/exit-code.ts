/** Exit codes of the command line. */
export const exitCode = {
  ok: 0,
  /** Something failed while running. */
  failure: 1,
  /** The configuration or the arguments cannot be used. */
  usage: 2,
} as const;

/** Exit codes of the command line. */
export const exitCode = {
  ok: 0,
  /** Something failed while running. */
  failure: 1,
  /** The configuration or the arguments cannot be used. */
  usage: 2,
  /** What was looked at holds, as far as can be told: how far has to be said. */
  unproven: 3,
} as const;

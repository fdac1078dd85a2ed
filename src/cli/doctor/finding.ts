/** `bad`: protection or service fails; `warn`: look at it; `unknown`: could not be found out. */
export type Verdict = 'ok' | 'note' | 'warn' | 'bad' | 'unknown';

/** The result of one check. */
export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly text: string;
}

/** The findings of one check. */
export type Check = () => Promise<readonly Finding[]>;

/** A finding. */
export function finding(check: string, verdict: Verdict, text: string): Finding {
  return { check, verdict, text };
}

/** Runs all checks at once, in their order. A check that throws is unknown: the others are told all the same. */
export async function runChecks(checks: Readonly<Record<string, Check>>): Promise<readonly Finding[]> {
  const all = Object.entries(checks).map(async ([name, check]): Promise<readonly Finding[]> => {
    try {
      return await check();
    } catch (error) {
      return [
        finding(name, 'unknown', `was not looked at: ${error instanceof Error ? error.message : 'unknown error'}`),
      ];
    }
  });
  return (await Promise.all(all)).flat();
}

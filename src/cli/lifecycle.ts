import { exitCode } from './exit-code.ts';
import { explainFailure, type Output } from './output.ts';

// A terminal sends Ctrl-C to the whole process group and npm passes it on again: one press arrives several times.
const ECHO_MS = 500;

/** Signals and exit of the process; a parameter, so that tests can replace it. */
export type Lifecycle = {
  readonly on: (signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', listener: () => void) => void;
  readonly exit: (code: number) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
};

/** The real process. */
export const processLifecycle: Lifecycle = {
  on: (signal, listener) => process.on(signal, listener),
  exit: (code) => process.exit(code),
  now: () => performance.now(),
};

/**
 * First SIGTERM or SIGINT: `stop` within `graceMs`, then exit 0 (1 when it fails). A second signal exits at once with 1.
 */
export function stopOnSignal(
  stop: (graceMs: number) => Promise<void>,
  graceMs: number,
  output: Output,
  lifecycle: Lifecycle,
): void {
  let since: number | undefined;
  const onSignal = () => {
    if (since !== undefined) {
      if (lifecycle.now() - since >= ECHO_MS) lifecycle.exit(exitCode.failure);
      return;
    }
    since = lifecycle.now();
    output.err(`stopping, open exchanges have ${graceMs / 1000} s to finish; a second signal ends at once\n`);
    stop(graceMs).then(
      () => lifecycle.exit(exitCode.ok),
      (error: unknown) => lifecycle.exit(explainFailure(output, error)),
    );
  };
  lifecycle.on('SIGTERM', onSignal);
  lifecycle.on('SIGINT', onSignal);
}

/** SIGHUP reloads all files. The log reports the result. */
export function reloadOnSignal(reload: () => void, lifecycle: Pick<Lifecycle, 'on'>): void {
  lifecycle.on('SIGHUP', reload);
}

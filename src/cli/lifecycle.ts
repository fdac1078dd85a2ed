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
  /** Calls `work` after so many milliseconds, unless the answer is called before. */
  readonly after: (ms: number, work: () => void) => () => void;
};

/** The real process. */
export const processLifecycle: Lifecycle = {
  on: (signal, listener) => process.on(signal, listener),
  exit: (code) => process.exit(code),
  now: () => performance.now(),
  after: (ms, work) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

/** The end of a gateway, in two steps. */
export interface Stopping {
  /** It is not ready any more and asks clients to move, and accepts connections all the same. */
  readonly depart: () => Promise<void>;
  readonly stop: (graceMs: number) => Promise<void>;
}

/** Milliseconds: between the two steps (0 = only the second is taken), and for open exchanges after them. */
export interface StopTimes {
  readonly delayMs: number;
  readonly graceMs: number;
}

/**
 * First SIGTERM or SIGINT: `depart`, after the delay `stop`, then exit 0 (1 when it fails). A second signal ends the delay; one
 * without a delay, or after it, exits at once with 1.
 */
export function stopOnSignal(
  { depart, stop }: Stopping,
  { delayMs, graceMs }: StopTimes,
  output: Output,
  lifecycle: Lifecycle,
): void {
  let since: number | undefined;
  let endDelay: (() => void) | undefined;
  const failed = (error: unknown) => lifecycle.exit(explainFailure(output, error));
  const end = () => {
    endDelay = undefined;
    output.err(`stopping, open exchanges have ${graceMs / 1000} s to finish; a second signal ends at once\n`);
    stop(graceMs).then(() => lifecycle.exit(exitCode.ok), failed);
  };
  const begin = () => {
    if (delayMs === 0) {
      end();
      return;
    }
    output.err(`leaving, connections are accepted for ${delayMs / 1000} s; a second signal ends this time\n`);
    const cancel = lifecycle.after(delayMs, end);
    endDelay = () => {
      cancel();
      end();
    };
    depart().catch(failed);
  };
  const onSignal = () => {
    const now = lifecycle.now();
    const isEcho = since !== undefined && now - since < ECHO_MS;
    if (isEcho) return;
    const isFirst = since === undefined;
    since = now;
    if (isFirst) begin();
    else if (endDelay) endDelay();
    else lifecycle.exit(exitCode.failure);
  };
  lifecycle.on('SIGTERM', onSignal);
  lifecycle.on('SIGINT', onSignal);
}

/** SIGHUP reloads all files. The log reports the result. */
export function reloadOnSignal(reload: () => void, lifecycle: Pick<Lifecycle, 'on'>): void {
  lifecycle.on('SIGHUP', reload);
}

import { execFile } from 'node:child_process';
import type { ServiceVariables } from '../config/environment.ts';
import type { Output } from './output.ts';

/**
 * Tells the service manager how the program stands: READY=1, STOPPING=1, and WATCHDOG=1 while the main process goes round.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3). Node has no datagrams on unix sockets, so `systemd-notify` sends them: the unit
 * needs `NotifyAccess=all`.
 */
export interface ServiceManager {
  /** Listeners are open. Begins the signs of life that the unit's `WatchdogSec` asks for. */
  readonly ready: (status: string) => void;
  /** The end has begun. */
  readonly stopping: () => void;
}

/** The parts of the process that it needs; a parameter, so that tests can replace it. */
export interface ServiceProcess {
  readonly pid: number;
  /** Sends these assignments; `done` gets what went wrong, if anything did. */
  readonly send: (assignments: readonly string[], done: (fault: Error | null) => void) => void;
  /** Calls `work` every so many milliseconds for as long as the process lives, and does not keep it alive. */
  readonly every: (ms: number, work: () => void) => void;
}

const SEND_LIMIT_MS = 5_000;

/** The real process. */
export const realServiceProcess: ServiceProcess = {
  pid: process.pid,
  send: (assignments, done) => {
    execFile('systemd-notify', assignments, { timeout: SEND_LIMIT_MS }, (fault) => done(fault));
  },
  every: (ms, work) => void setInterval(work, ms).unref(),
};

const NONE: ServiceManager = { ready: () => {}, stopping: () => {} };

/**
 * The service manager that these variables name; one that is told nothing without `NOTIFY_SOCKET`.
 *
 * A message that cannot be sent is one line of `output`, and no more: the gateway serves all the same. Signs of life are sent
 * three times in each `WATCHDOG_USEC`, and never two at once.
 */
export function serviceManagerOf(
  variables: ServiceVariables,
  output: Output,
  process: ServiceProcess = realServiceProcess,
): ServiceManager {
  if (variables.socket === undefined) return NONE;
  let told = false;
  let sending = false;
  let stopped = false;
  const send = (...assignments: string[]) => {
    sending = true;
    process.send(assignments, (fault) => {
      sending = false;
      if (fault === null || told) return;
      told = true;
      output.err(`warning: the service manager was not told ${assignments[0]}: ${fault.message.split('\n')[0]}\n`);
    });
  };
  return {
    ready: (status) => {
      send('READY=1', `STATUS=${status}`);
      const ms = watchdogMs(variables, process.pid);
      if (ms === undefined) return;
      process.every(Math.max(1, Math.floor(ms / 3)), () => {
        if (!sending) send('WATCHDOG=1');
      });
    },
    stopping: () => {
      if (!stopped) send('STOPPING=1');
      stopped = true;
    },
  };
}

/** Milliseconds of `WatchdogSec`; `undefined` without one, or if it is asked of another process. */
function watchdogMs({ watchdogUsec, watchdogPid }: ServiceVariables, pid: number): number | undefined {
  const usec = Number(watchdogUsec);
  const isOther = watchdogPid !== undefined && watchdogPid !== String(pid);
  return watchdogUsec === undefined || !(usec > 0) || isOther ? undefined : usec / 1000;
}

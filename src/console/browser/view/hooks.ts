import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiFault, ask, problemsOf } from '../api.ts';

/** The newest answer to a question of a page. */
export interface Asked<T> {
  /** The newest answer; `undefined` = none yet. */
  readonly value: T | undefined;
  /** Sentences; empty = the last request was answered. */
  readonly problems: readonly string[];
  readonly again: () => void;
}

/**
 * Asks when the page opens, when `path` changes, and every `everyMs` milliseconds while the page is visible.
 *
 * @param path `undefined` = nothing is asked
 */
export function useAsked<T>(path: string | undefined, everyMs = 0): Asked<T> {
  const [value, setValue] = useState<T | undefined>(undefined);
  const [problems, setProblems] = useState<readonly string[]>([]);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === undefined) return undefined;
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      try {
        if (!document.hidden || turn === 0) {
          const next = await ask<T>(path, undefined, ended.signal);
          if (ended.signal.aborted) return;
          setValue(next);
          setProblems([]);
        }
      } catch (error) {
        if (ended.signal.aborted) return;
        setProblems(problemsOf(error));
      }
      if (everyMs > 0 && !ended.signal.aborted) timer = setTimeout(run, everyMs);
    };
    void run();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, turn]);
  const again = useCallback(() => setTurn((one) => one + 1), []);
  return { value, problems, again };
}

/** A request that a person starts. */
export interface Act<I extends object, O> {
  readonly busy: boolean;
  readonly problems: readonly string[];
  /** Of the answer that told the problems; `undefined` = there are none, or no answer came. */
  readonly status: number | undefined;
  readonly done: O | undefined;
  readonly run: (input: I) => Promise<O | undefined>;
  readonly clear: () => void;
}

/** A request that a person starts: at most one at a time, with its problems in place. */
export function useAct<I extends object, O>(path: string): Act<I, O> {
  const [state, setState] = useState<Omit<Act<I, O>, 'run' | 'clear'>>(IDLE);
  const isOpen = useRef(false);
  const run = useCallback(
    async (input: I): Promise<O | undefined> => {
      if (isOpen.current) return undefined;
      isOpen.current = true;
      setState({ ...IDLE, busy: true });
      try {
        const done = await ask<O>(path, input);
        setState({ ...IDLE, done });
        return done;
      } catch (error) {
        const status = error instanceof ApiFault ? error.status : undefined;
        setState({ ...IDLE, problems: problemsOf(error), status });
        return undefined;
      } finally {
        isOpen.current = false;
      }
    },
    [path],
  );
  const clear = useCallback(() => setState(IDLE), []);
  return { ...state, run, clear };
}

const IDLE = { busy: false, problems: [], status: undefined, done: undefined };

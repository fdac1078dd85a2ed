import { renameSync, writeFileSync } from 'node:fs';
import { reason } from '../config/problem.ts';
import type { Log } from '../observability/log.ts';
import type { GatewaySnapshot } from '../observability/snapshot.ts';
import { type Learned, mergeLearned } from '../policy/learn.ts';
import { renderLearned } from './render.ts';

/** Least time between two writes, in milliseconds. */
const INTERVAL_MS = 1000;

/** Writes the learned policy while learn mode is on. */
export interface LearnedWriter {
  /** Writes the current result. Never rejects. */
  readonly write: () => Promise<void>;
  readonly stop: () => void;
}

export interface LearnedWriterOptions {
  /** The path of the file; `undefined` = learn mode is off. */
  readonly file: () => string | undefined;
  readonly snapshots: () => Promise<readonly GatewaySnapshot[]>;
  readonly log: Pick<Log, 'info' | 'error'>;
}

/**
 * Writes the learned policy when it has changed, at most once a second. The file is replaced atomically; that of an
 * earlier run is kept as `.previous`.
 */
export function createLearnedWriter({ file, snapshots, log }: LearnedWriterOptions): LearnedWriter {
  /** By process: the result of an ended process still counts. */
  const parts = new Map<number, Learned>();
  let written: { readonly path: string; readonly text: string } | undefined;
  let failing = false;

  const write = async (): Promise<void> => {
    const path = file();
    if (path === undefined) return;
    for (const { pid, learned } of await snapshots().catch(() => [])) if (learned) parts.set(pid, learned);
    const text = renderLearned(mergeLearned([...parts.values()]));
    if (written?.path === path && written.text === text) return;
    try {
      if (written?.path !== path) keepPrevious(path);
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      if (failing || written?.path !== path) log.info({ file: path }, 'the learned policy is written');
      failing = false;
      written = { path, text };
    } catch (error) {
      if (!failing) log.error({ file: path, reason: reason(error) }, 'the learned policy cannot be written');
      failing = true;
    }
  };

  const timer = setInterval(() => void write(), INTERVAL_MS).unref();
  return { write, stop: () => clearInterval(timer) };
}

function keepPrevious(path: string): void {
  try {
    renameSync(path, `${path}.previous`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}

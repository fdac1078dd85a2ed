import { cpus, release } from 'node:os';
import type { Pinning } from './processes.ts';

/** The machine in one line: it belongs to every figure taken on it. */
export function machineLine(pinning: Pinning): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const pinned =
    'none' in pinning
      ? `not pinned (${pinning.none})`
      : `gateway on core ${pinning.gateway}, load and upstream on core ${pinning.load}`;
  return `${model}, ${cpus().length} cores, ${process.platform} ${release()}, Node ${process.version}; ${pinned}`;
}

/** Today as `2026-11-24`. */
export const today = (): string => new Date().toISOString().slice(0, 10);

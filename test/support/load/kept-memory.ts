import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { GatewayProcess } from '../process/gateway-process.ts';
import { until } from '../until.ts';

/**
 * What a gateway's process keeps, measured: memory that waits to be collected is most of what a process under load has, and
 * its size is the collector's choice.
 */

const MARK = 'memory kept: ';

/** Variables that let a gateway's process be asked by `keptMegabytes`. */
export const TELLS_KEPT_MEMORY = { NODE_OPTIONS: `--import=${import.meta.filename}` } as const;

/** Has the process collect all it can, and tells what is left of heap and buffers, in MiB. */
export async function keptMegabytes({ child, errors }: GatewayProcess): Promise<number> {
  const told = (): readonly string[] => errors().split(MARK).slice(1);
  const before = told().length;
  child.kill('SIGUSR2');
  await until(() => told().length > before, 'memory is told');
  return Number.parseFloat(told().at(-1) ?? '');
}

if (process.argv[1]?.endsWith('/src/cli/main.ts')) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  process.on('SIGUSR2', () => {
    collect();
    // Buffers are let go of beside, and finalizers run between two turns.
    setImmediate(() => {
      collect();
      const { heapUsed, external } = process.memoryUsage();
      process.stderr.write(`${MARK}${((heapUsed + external) / (1 << 20)).toFixed(2)}\n`);
    });
  });
}

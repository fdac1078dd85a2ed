#!/usr/bin/env node
/*
 * The installed program. Like `runtime.ts` it runs on any Node, so everything else is imported only after the version
 * check. Any error on the way ends the process with a code other than 0.
 */
import { NEEDED_NODE, runsOn } from './runtime.ts';

if (!runsOn(process.version)) {
  process.stderr.write(`error: qdrant-gateway needs Node ${NEEDED_NODE}; this is ${process.version}\n`);
  process.exit(1);
}
try {
  const { main } = await import('./program.ts');
  const code = await main(process.argv.slice(2));
  // A gateway that serves keeps the process alive after 0.
  if (code !== 0) process.exit(code);
} catch (error) {
  process.stderr.write(`error: qdrant-gateway cannot start: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}

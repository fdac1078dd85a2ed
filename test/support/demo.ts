import { join } from 'node:path';
import { Command } from 'commander';
import { showDemo } from '../../src/cli/demo/demo.ts';
import { withConfigFlags } from '../../src/cli/frame/build.ts';
import { processOutput } from '../../src/cli/frame/streams.ts';
import { explainFailure } from '../../src/cli/output.ts';
import { serve } from '../../src/cli/serve.ts';
import { type Flags, previewConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { startFakeQdrantApart } from './fake-qdrant/apart.ts';

/*
 * `npm start`: with an upstream configured it is `serve`; with none it is the demo, before the stand-in of the tests: REST and gRPC, with
 * all that the tutorial asks of it.
 */

const FOLDER = join(import.meta.dirname, '..', '..', 'certs', 'dev');
const NEXT = [
  'More to try, with curl and with clients in TypeScript and Python: docs/guides/tutorial.md.',
  '',
  'To protect a Qdrant of your own:',
  '  npm start -- --upstream http://127.0.0.1:16333 --upstream-grpc http://127.0.0.1:16334',
];

async function demo(flags: Flags, before: Config): Promise<void> {
  const standIn = await startFakeQdrantApart((reason) => {
    process.exit(explainFailure(processOutput, new Error(`the stand-in for Qdrant ended: ${reason.message}`)));
  });
  await showDemo(flags, before, { folder: FOLDER, standIn, next: NEXT }, processOutput);
}

async function start(args: readonly string[]): Promise<void> {
  const command = withConfigFlags(new Command('npm start --')).parse(args, { from: 'user' });
  const flags = command.opts<Flags>();
  const { config } = previewConfig({ argv: flags });
  // With a broken configuration `serve` says what is wrong with it.
  const upstream = config?.gateway.upstream;
  const standAlone = config !== null && upstream?.rest_url === null && upstream.grpc_url === null;
  await (standAlone ? demo(flags, config) : serve(flags, processOutput));
}

if (import.meta.main) {
  try {
    await start(process.argv.slice(2));
  } catch (error) {
    process.exit(explainFailure(processOutput, error));
  }
}

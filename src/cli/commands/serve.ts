import { declareCommand } from '../frame/declare.ts';

/** Runs until a signal; its output is its log, whose form is an option. */
export const serveCommand = declareCommand({
  name: 'serve',
  group: 'Run:',
  summary: 'run the gateway',
  details: 'It reads its configuration again on SIGHUP, and ends on SIGTERM or SIGINT.',
  config: true,
  json: false,
  isDefault: true,
  changes: true,
  examples: [
    ['qdrant-gateway serve --config gateway.yaml', 'serve with a configuration file'],
    ['qdrant-gateway --upstream http://127.0.0.1:7333 --http-port 6333', 'serve without a file'],
  ],
  async run({ flags, output }) {
    const { serve } = await import('../serve.ts');
    await serve(flags, output);
    return undefined;
  },
});

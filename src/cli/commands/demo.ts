import { declareCommand } from '../frame/declare.ts';

/** Runs until a signal; its output is for a person. */
export const demoCommand = declareCommand({
  name: 'demo',
  group: 'Run:',
  summary: 'show the gateway at work, without a Qdrant',
  details:
    'Serves on loopback before a small stand-in in memory, with keys, a token and certificates in `qdrant-gateway-demo/`, and prints commands to try. `qdrant-gateway` alone does this where nothing is configured: no argument and no variable `QDRANT_*`.',
  config: true,
  json: false,
  changes: true,
  examples: [
    ['qdrant-gateway demo', 'REST on port 6333 and gRPC on 6334, or on free ones where these are in use'],
    ['qdrant-gateway demo --http-port 7333 --grpc-port 7334', 'on other ports'],
  ],
  async run({ flags, output }) {
    const { demo } = await import('../demo/demo.ts');
    await demo(flags, output);
    return undefined;
  },
});

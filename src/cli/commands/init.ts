import { declareCommand } from '../frame/declare.ts';

export const initCommand = declareCommand({
  name: 'init',
  group: 'Run:',
  summary: 'put the gateway before the Qdrant of a compose project, of Helm values or of this host',
  details:
    'Shows what it found and each file that it would write beside it, and writes them when it is told to. Keys that callers have go on; where there are none, they are drawn into files of mode 0600. No file of yours changes, except `COMPOSE_FILE` in `.env` where compose would not read the new file by itself. A second run finishes what a first began.',
  args: [
    {
      name: 'file',
      optional: true,
      text: 'compose file, values of the official chart, or file of variables such as .env (default: the compose file of this folder)',
    },
  ],
  options: {
    qdrant: { kind: 'value', value: 'url', text: 'a Qdrant that runs as a program of this host, instead of a file' },
    name: {
      kind: 'value',
      value: 'name',
      text: 'compose service of Qdrant, or Helm release (default: found, or qdrant)',
    },
    host: {
      kind: 'list',
      value: 'name',
      text: 'name or address that clients connect to, for a certificate; may be repeated',
    },
    image: { kind: 'value', value: 'image', text: 'image of the gateway (default: qdrant-gateway with this release)' },
    cleartext: { kind: 'switch', text: 'no TLS: only where another proxy ends it' },
    yes: { kind: 'switch', text: 'write' },
    undo: { kind: 'switch', text: 'remove what it wrote, and nothing else' },
  },
  changes: true,
  examples: [
    ['qdrant-gateway init', 'shows what would secure the compose project in this folder'],
    ['qdrant-gateway init --yes', 'writes it'],
    [
      'qdrant-gateway init values.yaml --host qdrant.example.com --yes',
      'the gateway beside Qdrant in its official chart',
    ],
    ['qdrant-gateway init qdrant.env', 'for a Qdrant that is started with these variables'],
    ['qdrant-gateway init --undo', 'removes what was written'],
  ],
  exits: { 4: 'with --undo: a file was left, because it has been changed since' },
  async run({ args: [file], flags, now }) {
    const { init } = await import('../init/init.ts');
    return init(file, flags, now);
  },
});

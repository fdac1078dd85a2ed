import { declareCommand } from '../frame/declare.ts';

/** The probe of the image. */
export const healthCommand = declareCommand({
  name: 'health',
  group: 'Check:',
  summary: 'ask the gateway on this machine whether it serves',
  details:
    'Where the admin port is on, `/-/ready` is asked, which includes Qdrant; otherwise the REST port has to take a connection. It reads the same configuration as the gateway beside it, and no credential is sent.',
  config: true,
  examples: [['qdrant-gateway health --config gateway.yaml', 'for a probe: 0 = it serves']],
  exits: { 4: 'the gateway does not serve, or is not ready' },
  async run({ flags }) {
    const { health } = await import('../health.ts');
    return health(flags);
  },
});

import { declareCommand } from '../frame/declare.ts';

/** Looks at the place that the gateway runs in. */
export const doctorCommand = declareCommand({
  name: 'doctor',
  group: 'Check:',
  summary: 'look at configuration, Qdrant, network, files, clock, Redis and limits of the system',
  details:
    'With `--from` it looks at an address as a stranger does, from any machine and without a configuration: which pages answer without a credential, whether the certificate is trusted, whether the cluster port is open.',
  options: {
    from: { kind: 'value', value: 'url', text: 'look at this address without a credential, such as https://host' },
  },
  config: true,
  examples: [
    ['qdrant-gateway doctor --config gateway.yaml', 'where the gateway runs'],
    ['qdrant-gateway doctor --from http://10.0.0.5:6333', 'from another machine: does Qdrant itself answer there?'],
  ],
  exits: { 4: 'a finding is BAD' },
  async run({ flags, now }) {
    const { doctor } = await import('../doctor/doctor.ts');
    return doctor(flags, flags.from, now);
  },
});

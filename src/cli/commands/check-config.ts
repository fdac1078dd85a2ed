import { declareCommand } from '../frame/declare.ts';

/** Finds every problem of the configuration before `serve` does. */
export const checkConfigCommand = declareCommand({
  name: 'check-config',
  group: 'Check:',
  summary: 'check the configuration: print the effective settings, or all problems',
  details:
    'One run tells every problem and every warning: weak keys, credentials without an end, certificates that end soon or do not fit their use, and files that others may change.',
  config: true,
  examples: [['qdrant-gateway check-config --config gateway.yaml', 'check a file before it is used']],
  async run({ flags, output, now, json }) {
    const { checkConfig } = await import('../check-config.ts');
    return checkConfig(flags, output, now, json);
  },
});

import { effectiveSettings } from '../config/document.ts';
import { type Flags, loadConfig } from '../config/load.ts';
import { loadSecrets } from '../config/secrets.ts';
import { type Output, writeWarnings } from './output.ts';

/** `check-config`: `OK` and the effective settings without secrets; throws `ConfigError` with every problem. */
export function checkConfig(flags: Flags, output: Output): void {
  const { config, warnings } = loadConfig({ argv: flags });
  const { warnings: secretWarnings } = loadSecrets(config);
  writeWarnings(output, [...warnings, ...secretWarnings]);
  output.out(`OK\n${effectiveSettings(config)}`);
}

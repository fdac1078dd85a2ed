import { effectiveSettings } from '../config/document.ts';
import type { Flags } from '../config/load.ts';
import { loadState, type State } from '../config/state.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { readRevocationFile } from '../revocation/file-source.ts';
import { revocationSettings } from '../revocation/settings.ts';
import { type Output, writeWarnings } from './output.ts';
import { warnUnprotected } from './unprotected.ts';

/** `check-config`: `OK` and the effective settings without secrets; throws `ConfigError` with every problem. */
export function checkConfig(flags: Flags, output: Output): void {
  const state = loadState({ argv: flags, operations: OPERATION_NAMES });
  const { file } = revocationSettings(state.config);
  if (file !== undefined) readRevocationFile(file);
  writeWarnings(output, state.warnings);
  warnUnprotected(output, state.config.gateway);
  output.out(`OK\n${effectiveSettings(state.config)}${effectivePolicy(state)}`);
}

/** Signing keys and rules by id, as far as there are any. */
function effectivePolicy({ policy: { signingKeys, rules } }: State): string {
  const keys = signingKeys.map(({ id }) => `signing key: ${id}\n`);
  const shown = rules.map(({ id, mode }) => `rule: ${id} (${mode})\n`);
  return [...keys, ...shown].join('');
}

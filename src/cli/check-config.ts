import { effectiveSettings } from '../config/document.ts';
import type { Flags } from '../config/load.ts';
import { loadState, type State } from '../config/state.ts';
import { checkUsable } from '../gateway/usable.ts';
import { OPERATION_NAMES } from '../operations/names.ts';
import { readRevocationFile } from '../revocation/file-source.ts';
import { type Output, writeWarnings } from './output.ts';
import { warnUnprotected } from './unprotected.ts';

/**
 * `check-config`: loads and checks all files as `serve` does before it listens. Prints `OK` and the effective settings
 * without secrets. Throws `ConfigError` with every problem.
 */
export function checkConfig(flags: Flags, output: Output): void {
  const state = loadState({ argv: flags, operations: OPERATION_NAMES });
  checkUsable(state);
  const { file } = state.config.gateway.revocation;
  if (file !== null) readRevocationFile(file);
  writeWarnings(output, state.warnings);
  warnUnprotected(output, state.config.gateway);
  output.out(`OK\n${effectiveSettings(state.config)}${effectivePolicy(state)}`);
}

/** Signing keys and rules by id; empty without any. */
function effectivePolicy({ policy: { signingKeys, rules } }: State): string {
  const keys = signingKeys.map(({ id }) => `signing key: ${id}\n`);
  const shown = rules.map(({ id, mode }) => `rule: ${id} (${mode})\n`);
  return [...keys, ...shown].join('');
}

import { effectiveValues } from './config/document.ts';
import type { Config } from './config/schema.ts';

/** Options, or sections of them, that a running gateway takes as they change. */
const LIVE = [
  'log_level',
  'service.api_key',
  'service.api_key_file',
  'service.alt_api_key',
  'service.alt_api_key_file',
  'service.read_only_api_key',
  'service.read_only_api_key_file',
  'service.jwt_rbac',
  'service.hide_jwt_dashboard',
  'tls.cert',
  'tls.key',
  'tls.ca_cert',
  'gateway.policy_file',
  'gateway.mode',
];

/** Paths of the options that differ and are taken by a restart only, in the order of the schema. */
export function restartNeeded(running: Config, next: Config): readonly string[] {
  const before = effectiveValues(running);
  const after = effectiveValues(next);
  return [...before.keys()].filter((path) => !LIVE.includes(path) && before.get(path) !== after.get(path));
}

import { loadConfig } from '../../src/config/load.ts';
import { NO_POLICY, type PolicySettings } from '../../src/config/policy/file.ts';
import { loadSecrets } from '../../src/config/secrets.ts';
import type { State } from '../../src/config/state.ts';
import { type Assumptions, assumed } from '../../src/explain/assumptions.ts';
import { offlineParts } from '../../src/explain/parts.ts';
import { KEYS } from '../support/gateway.ts';

/** The moment of every question. */
export const NOW = 1_700_000_000_000;

/** A state with the keys of the test gateway. */
export function stateOf(policy: Partial<PolicySettings> = {}, settings: Readonly<Record<string, unknown>> = {}): State {
  const defaults = {
    'service.api_key': KEYS.admin,
    'service.alt_api_key': KEYS.alt,
    'service.read_only_api_key': KEYS.readOnly,
    'service.jwt_rbac': true,
    'gateway.upstream.rest_url': 'http://127.0.0.1:1',
    'gateway.upstream.grpc_url': 'http://127.0.0.1:2',
    ...settings,
  };
  const { config } = loadConfig({ env: {}, defaults });
  return { config, secrets: loadSecrets(config).secrets, policy: { ...NO_POLICY, ...policy } };
}

/** Parts over such a state. */
export function partsOf(policy: Partial<PolicySettings> = {}, more: Partial<Assumptions> = {}, settings = {}) {
  return offlineParts(stateOf(policy, settings), assumed({ now: NOW, release: '1.19.2', ...more }));
}

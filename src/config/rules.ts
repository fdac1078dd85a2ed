import { resolve } from 'node:path';
import { hasNamedKeys } from './keys/shared-rules.ts';
import { envName } from './options.ts';
import type { Problem } from './problem.ts';
import type { Config } from './schema.ts';
import { KEY_NAMES, type Keys } from './secrets.ts';
import { compareProblems } from './upstream/key-rules.ts';
import { upstreamProblems } from './upstream/rules.ts';

/** Returns the place where an option was set. */
export type PlaceOf = (path: string) => string;

/** RFC 7518 section 3.2: a key for HS256 has at least the size of the hash. */
export const HS256_KEY_BYTES = 32;

function keyPlace(config: Config, name: (typeof KEY_NAMES)[number], placeOf: PlaceOf): string {
  return placeOf(config.service[name] === null ? `service.${name}_file` : `service.${name}`);
}

/** Rejects keys with leading or trailing whitespace, and a read-only key that is also an admin key. */
export function keyProblems(config: Config, keys: Keys, placeOf: PlaceOf): Problem[] {
  const problems: Problem[] = [];
  for (const name of KEY_NAMES) {
    const value = keys[name];
    if (value !== null && value !== value.trim()) {
      const message = 'the key has leading or trailing whitespace (one newline at the end of a file is allowed)';
      problems.push({ place: keyPlace(config, name, placeOf), message });
    }
  }
  const readOnly = keys.read_only_api_key;
  for (const admin of ['api_key', 'alt_api_key'] as const) {
    if (readOnly !== null && readOnly === keys[admin]) {
      const message = `the read-only key is the same as \`service.${admin}\`: readers would have full access`;
      problems.push({ place: keyPlace(config, 'read_only_api_key', placeOf), message });
    }
  }
  return problems;
}

/** Warnings for valid but unusual settings. @param policy of the file */
export function keyWarnings(config: Config, keys: Keys, placeOf: PlaceOf, policy: TokenSources): string[] {
  const warnings: string[] = [];
  const jwt = config.service.jwt_rbac === true;
  // Upstream: without an admin key JWTs stay off, with a warning (Qdrant 1.19).
  if (jwt && keys.api_key === null && keys.alt_api_key === null && policy.signingKeys.length === 0) {
    warnings.push(
      `${placeOf('service.jwt_rbac')}: needs \`service.api_key\` or \`service.alt_api_key\`, tokens stay off`,
    );
  }
  for (const name of KEY_NAMES) {
    const value = keys[name];
    if (value === null) continue;
    const place = keyPlace(config, name, placeOf);
    if (jwt && name !== 'read_only_api_key' && Buffer.byteLength(value) < HS256_KEY_BYTES) {
      warnings.push(
        `${place}: the key is shorter than ${HS256_KEY_BYTES} bytes: too short to sign tokens (RFC 7518, section 3.2)`,
      );
    }
    if (!/^[\x20-\x7e]*$/.test(value)) {
      warnings.push(`${place}: the key has characters that no request header can carry: no client can present it`);
    }
  }
  if (
    config.gateway.insecure_allow_no_key &&
    !hasNamedKeys(config) &&
    !policy.issuers &&
    Object.values(keys).every((one) => one === null)
  ) {
    warnings.push(`${placeOf('gateway.insecure_allow_no_key')}: no key is set, every caller has full access`);
  }
  return warnings;
}

/** The sources of tokens in a policy file. */
interface TokenSources {
  readonly signingKeys: readonly unknown[];
  readonly issuers?: readonly unknown[];
  readonly clientCertificates?: unknown;
}

function missingKey(config: Config, { signingKeys, issuers = [], clientCertificates }: TokenSources): Problem[] {
  const { service, gateway } = config;
  if (gateway.client_certificates.mode === 'identity' && clientCertificates !== undefined) return [];
  // A signing key is only of use with tokens.
  if (signingKeys.length > 0 && service.jwt_rbac === true) return [];
  if (issuers.length > 0) return [];
  if (hasNamedKeys(config)) return [];
  const set = KEY_NAMES.some((name) => service[name] !== null || service[`${name}_file`] !== null);
  if (set || gateway.insecure_allow_no_key) return [];
  const names = `\`${envName('service.api_key')}\` (or \`service.api_key\` in the file, or \`${envName('service.api_key_file')}\`)`;
  const message = `no key is configured: set ${names}, or \`gateway.insecure_allow_no_key: true\` to accept every caller`;
  return [{ place: 'service.api_key', message }];
}

function clashes(config: Config): Problem[] {
  const { http_port: http, grpc_port: grpc } = config.service;
  const problems: Problem[] = [];
  if (http !== 0 && http === grpc) {
    problems.push({ place: 'service.grpc_port', message: `the same port as \`service.http_port\` (${http})` });
  }
  const { rest, grpc: calls } = config.gateway.listen;
  if (rest !== null && rest === calls) {
    problems.push({ place: 'gateway.listen.grpc', message: 'the same socket as `gateway.listen.rest`' });
  }
  const { mode, policy_file: policyFile, learn_file: learnFile } = config.gateway;
  if (mode === 'learn' && policyFile !== null && resolve(policyFile) === resolve(learnFile)) {
    const message = 'must differ from `gateway.policy_file`: review learned rules before using them';
    problems.push({ place: 'gateway.learn_file', message });
  }
  return problems;
}

/** Conflicts in the admin port's options. */
function adminProblems({ gateway: { admin }, service }: Config): Problem[] {
  const problems: Problem[] = [];
  if (admin.protect_metrics && admin.token === null && admin.token_file === null) {
    const message = 'needs `gateway.admin.token` or `gateway.admin.token_file`';
    problems.push({ place: 'gateway.admin.protect_metrics', message });
  }
  if (admin.enable_tls && !service.enable_tls) {
    const message = 'needs `service.enable_tls`: the admin port uses the certificate of the listeners';
    problems.push({ place: 'gateway.admin.enable_tls', message });
  }
  if (admin.port !== null && admin.port !== 0 && [service.http_port, service.grpc_port].includes(admin.port)) {
    const message = `the same port as a listener (${admin.port})`;
    problems.push({ place: 'gateway.admin.port', message });
  }
  return problems;
}

/** Missing and unsafe options of the login through an identity provider. */
function oidcProblems({ enabled, oidc }: Config['gateway']['console']): Problem[] {
  const { issuer, client_id: id, public_url: url, full, read } = oidc;
  if (issuer === null) return [];
  const at = (name: string): string => `gateway.console.oidc.${name}`;
  const problems: Problem[] = [];
  if (!enabled) problems.push({ place: at('issuer'), message: 'needs `gateway.console.enabled`' });
  if (id === null) problems.push({ place: at('client_id'), message: 'is needed with `gateway.console.oidc.issuer`' });
  if (url === null) problems.push({ place: at('public_url'), message: 'is needed with `gateway.console.oidc.issuer`' });
  if (full === null && read === null) {
    problems.push({
      place: at('full'),
      message: 'without values here or in `gateway.console.oidc.read` no login has a role',
    });
  }
  const plain = /^http:\/\/(?!(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::|\/|$))/;
  if (plain.test(issuer))
    problems.push({ place: at('issuer'), message: 'must begin with https://, unless it is on loopback' });
  return problems;
}

/** Conflicts in the console's options. */
function consoleProblems({ gateway: { admin, console: pages } }: Config): Problem[] {
  if (pages.on_rest_port && !pages.enabled) {
    return [{ place: 'gateway.console.on_rest_port', message: 'needs `gateway.console.enabled`' }];
  }
  const missing = oidcProblems(pages);
  if (!pages.enabled || admin.port !== null) return missing;
  return [
    {
      place: 'gateway.console.enabled',
      message: 'needs `gateway.admin.port`: the console is a part of the admin port',
    },
  ];
}

/** Required options that are missing. */
export function completenessProblems(config: Config, policy: TokenSources): Problem[] {
  return [
    ...missingKey(config, policy),
    ...[
      ...upstreamProblems(config),
      ...compareProblems(config),
      ...clashes(config),
      ...adminProblems(config),
      ...consoleProblems(config),
    ],
  ];
}

import type { PolicySettings } from '../policy/file.ts';
import type { Problem } from '../problem.ts';
import type { PlaceOf } from '../rules.ts';
import type { Config } from '../schema.ts';

/** Options of client certificates that contradict each other. */
export function certificateProblems({ gateway, service }: Config, placeOf: PlaceOf): Problem[] {
  const { mode, crl } = gateway.client_certificates;
  const problems: Problem[] = [];
  if (mode !== 'off' && !service.enable_tls) {
    const message = 'needs `service.enable_tls`: certificates are shown in TLS handshakes';
    problems.push({ place: placeOf('gateway.client_certificates.mode'), message });
  }
  if (mode === 'off' && crl !== null) {
    const message =
      'needs `gateway.client_certificates.mode`: without it certificates are only looked at in the handshake, without lists';
    problems.push({ place: placeOf('gateway.client_certificates.crl'), message });
  }
  return problems;
}

/** Mappings that are missing. @param policy of the file, if it has no problems */
export function mappingProblems(
  { gateway }: Config,
  policy: Pick<PolicySettings, 'clientCertificates'>,
  placeOf: PlaceOf,
): Problem[] {
  if (gateway.client_certificates.mode !== 'identity' || policy.clientCertificates) return [];
  const message = 'needs `client_certificates` in the policy file: without mappings no certificate gives access';
  return [{ place: placeOf('gateway.client_certificates.mode'), message }];
}

/** Sections of the policy that nothing uses: mappings without a mode, an exchange at the one port that sees no certificate. */
export function mappingWarnings(
  { gateway }: Config,
  policy: Pick<PolicySettings, 'clientCertificates' | 'tokenExchange'>,
  placeOf: PlaceOf,
): string[] {
  const { mode } = gateway.client_certificates;
  const place = placeOf('gateway.policy_file');
  const warnings: string[] = [];
  if (mode === 'off' && policy.clientCertificates) {
    const text = '`client_certificates` need `gateway.client_certificates.mode`, certificates are no identities';
    warnings.push(`${place}: ${text}`);
  }
  if (mode === 'beside_key' && policy.tokenExchange?.restPort === false) {
    const text =
      '`token_exchange` needs `rest_port`: each exchange needs a client certificate, and the admin port asks for none';
    warnings.push(`${place}: ${text}`);
  }
  return warnings;
}

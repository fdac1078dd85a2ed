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

/** Mappings that nothing uses. */
export function mappingWarnings(
  { gateway }: Config,
  policy: Pick<PolicySettings, 'clientCertificates'>,
  placeOf: PlaceOf,
): string[] {
  if (gateway.client_certificates.mode !== 'off' || !policy.clientCertificates) return [];
  const place = placeOf('gateway.policy_file');
  return [
    `${place}: \`client_certificates\` need \`gateway.client_certificates.mode\`, certificates are no identities`,
  ];
}

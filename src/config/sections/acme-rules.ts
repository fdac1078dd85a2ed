import { isIP } from 'node:net';
import type { Problem } from '../problem.ts';
import type { Config } from '../schema.ts';
import { textList } from '../text-list.ts';

/** Most host names of one certificate. */
const MOST_DOMAINS = 100;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The reason why a text is no host name that can be proved; `undefined` = it is one. */
function domainFault(domain: string): string | undefined {
  if (domain.includes('*')) {
    return `\`${domain}\` is a wildcard, which needs a DNS record (dns-01): name each host, or use \`tls.cert\` with a certificate from elsewhere`;
  }
  if (isIP(domain.replace(/^\[|\]$/g, '')) !== 0) return `\`${domain}\` is an address, not a host name`;
  if (domain !== domain.toLowerCase()) return `\`${domain}\` must be written in lower case`;
  const labels = domain.split('.');
  if (domain.length > 253 || labels.length < 2 || !labels.every((label) => LABEL.test(label))) {
    return `\`${domain}\` is not a host name, as in \`qdrant.example.com\` (other scripts in the form \`xn--\`)`;
  }
  return undefined;
}

const HOST = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/** True = a host name, in lower case, or an address, as a certificate may have it. */
export function isCertificateName(name: string): boolean {
  return isIP(name) !== 0 || (name.length <= 253 && HOST.test(name));
}

function domainProblems({ gateway }: Config): readonly string[] {
  const domains = textList(gateway.acme.domains);
  const faults = domains.flatMap((domain) => domainFault(domain) ?? []);
  const twice = domains.find((domain, at) => domains.indexOf(domain) !== at);
  return [
    ...faults,
    ...(twice === undefined ? [] : [`\`${twice}\` is listed twice`]),
    ...(domains.length > MOST_DOMAINS ? [`${domains.length} host names: at most ${MOST_DOMAINS} are possible`] : []),
  ];
}

/** Conflicts within `gateway.acme` and `gateway.certs`. @param placeOf returns the place where an option was set */
export function acmeProblems(config: Config, placeOf: (path: string) => string): Problem[] {
  const { acme, certs, shared, revocation, admin } = config.gateway;
  const problems: Problem[] = [];
  const fail = (option: string, message: string): void => void problems.push({ place: placeOf(option), message });
  const used = textList(acme.domains).length > 0;
  if (shared.certificates && !used) fail('gateway.shared.certificates', 'needs `gateway.acme.domains`');
  if (shared.certificates && revocation.redis_url === null) {
    fail('gateway.shared.certificates', 'needs `gateway.revocation.redis_url`');
  }
  if (shared.certificates && acme.shared_secret_file === null) {
    fail(
      'gateway.shared.certificates',
      'needs `gateway.acme.shared_secret_file`, which encrypts private keys in Redis',
    );
  }
  for (const name of textList(config.gateway.dev_certs.names)) {
    if (isCertificateName(name)) continue;
    fail('gateway.dev_certs.names', `\`${name}\` is neither a host name in lower case nor an address`);
  }
  if (!used) return problems;
  for (const message of domainProblems(config)) fail('gateway.acme.domains', message);
  if (certs === 'dev') fail('gateway.certs', '`dev` and `gateway.acme.domains` are two sources: keep one');
  if (!acme.agree_tos) {
    fail('gateway.acme.agree_tos', "must be true: the certificate authority's terms of service have to be agreed to");
  }
  if (acme.email !== null && !/^[^\s@,;?<>"]+@[^\s@,;?<>"]+$/.test(acme.email)) {
    fail('gateway.acme.email', 'must be one address, as in `ops@example.com`');
  }
  if ((acme.eab_key_id === null) !== (acme.eab_hmac_file === null)) {
    const missing = acme.eab_key_id === null ? 'eab_key_id' : 'eab_hmac_file';
    fail(`gateway.acme.${missing}`, '`eab_key_id` and `eab_hmac_file` belong together: both are needed');
  }
  if (acme.staging && !/^https:\/\/acme-staging-v02\.api\.letsencrypt\.org\//.test(acme.directory)) {
    fail('gateway.acme.staging', 'only without `gateway.acme.directory`');
  }
  if (acme.challenge === 'http-01' && acme.http_port !== 0) {
    const { http_port: rest, grpc_port: grpc } = config.service;
    if ([rest, grpc, admin.port].includes(acme.http_port)) {
      fail('gateway.acme.http_port', `the same port as another listener (${acme.http_port})`);
    }
  }
  return problems;
}

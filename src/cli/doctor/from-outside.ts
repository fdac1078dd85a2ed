import { type Finding, finding } from './finding.ts';
import { type Address, askAsStranger, type StrangerAnswer, takesConnections } from './stranger.ts';

/** Port of Qdrant's cluster, which asks for no key before 1.19.2. */
export const CLUSTER_PORT = 6335;

/** Pages that a stranger must not read. Natively `/`, `/healthz` and the like are open. */
const CLOSED = ['/collections', '/telemetry', '/metrics', '/cluster', '/snapshots', '/aliases'] as const;
/** Failures of the check of a certificate. */
const CERTIFICATE = /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO|ERR_TLS/;

/** The findings of a look at a gateway, or a Qdrant, as a stranger has it: without a credential and without its configuration. */
export async function lookFromOutside(address: Address): Promise<readonly Finding[]> {
  const root = await askAsStranger(address, '/');
  if ('failure' in root && !CERTIFICATE.test(root.failure)) {
    return [finding('reachable', 'bad', `no answer (${root.failure})`)];
  }
  const isTrusted = !('failure' in root);
  const trust = { isVerified: isTrusted };
  const pages = await Promise.all(
    CLOSED.map(async (path) => judgePage(path, await askAsStranger(address, path, trust))),
  );
  const cluster = await takesConnections(address.host, CLUSTER_PORT);
  return [
    finding('reachable', 'ok', 'it answers'),
    tlsFinding(address, 'failure' in root ? root.failure : undefined),
    ...pages,
    cluster
      ? finding('cluster port', 'bad', `port ${CLUSTER_PORT} takes connections: it must be closed to strangers`)
      : finding('cluster port', 'ok', `port ${CLUSTER_PORT} takes no connection`),
  ];
}

function tlsFinding({ tls }: Address, failure: string | undefined): Finding {
  if (!tls) return finding('tls', 'warn', 'without TLS: keys and data can be read on the way');
  if (failure !== undefined) return finding('tls', 'bad', `clients do not trust the certificate (${failure})`);
  return finding('tls', 'ok', 'the certificate is trusted');
}

function judgePage(path: string, answer: StrangerAnswer | { readonly failure: string }): Finding {
  const check = `GET ${path}`;
  if ('failure' in answer) return finding(check, 'unknown', `no answer (${answer.failure})`);
  const { status, headers } = answer;
  if (status >= 200 && status < 300) return finding(check, 'bad', `answered openly (${status})`);
  const by = headers['x-request-id'] === undefined ? '' : ', with the id of a request as the gateway does';
  if (status === 401 || status === 403) return finding(check, 'ok', `refused (${status}${by})`);
  return finding(check, 'note', `answered with ${status}`);
}

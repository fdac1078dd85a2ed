/** The setting of each client that trusts a CA, as in `docs/reference/clients.md`. */
const CLIENTS: readonly (readonly [client: string, how: (ca: string) => string])[] = [
  ['curl', (ca) => `curl --cacert ${ca} https://localhost:6333/collections`],
  ['Python, REST', (ca) => `QdrantClient(..., https=True, verify="${ca}")`],
  ['Python, gRPC', (ca) => `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=${ca}, set before the first call`],
  ['TypeScript', (ca) => `NODE_EXTRA_CA_CERTS=${ca}, set before Node starts`],
  ['Go', (ca) => `TLSConfig: &tls.Config{RootCAs: pool}, after pool.AppendCertsFromPEM of ${ca}`],
  ['Java', (ca) => `TlsChannelCredentials.newBuilder().trustManager(new File("${ca}")).build()`],
  ['C#', (ca) => `X509ChainPolicy with CustomRootTrust and CustomTrustStore.ImportFromPemFile("${ca}")`],
  ['Rust', (ca) => `SSL_CERT_FILE=${ca}, which replaces the roots of the system`],
];

export interface TrustOptions {
  /** Path of the CA. */
  readonly ca: string;
  readonly caKey: string;
}

/** Lines for a person who has a development CA. */
export function trustText({ ca, caKey }: TrustOptions): string {
  const shown = JSON.stringify(ca).slice(1, -1);
  const width = Math.max(...CLIENTS.map(([client]) => client.length)) + 2;
  return [
    'Development certificates, not for production: the key of the CA lets its reader pretend to be any host.',
    '',
    `  CA file          ${shown}`,
    `  key of the CA    ${JSON.stringify(caKey).slice(1, -1)}`,
    '',
    'How each client trusts it:',
    ...CLIENTS.map(([client, how]) => `  ${client.padEnd(width)}${how(shown)}`),
    '',
  ].join('\n');
}

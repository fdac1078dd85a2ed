import type { OptionSpec } from './declare.ts';

/** The flags that name a configuration file and set options. They win over environment and file. */
export const configOptions: Readonly<Record<string, OptionSpec>> = {
  config: { kind: 'value', value: 'file', text: 'YAML configuration file' },
  upstream: { kind: 'value', value: 'url', text: 'REST address of the unsecured Qdrant, http://host:port' },
  upstreamGrpc: { kind: 'value', value: 'url', text: 'gRPC address of the unsecured Qdrant, http://host:port' },
  httpPort: { kind: 'value', value: 'port', text: 'REST port (6333)' },
  grpcPort: { kind: 'value', value: 'port', text: 'gRPC port (6334)' },
  host: { kind: 'value', value: 'address', text: 'address to listen on (0.0.0.0)' },
  tls: { kind: 'switch', text: 'TLS on both ports' },
  noTls: { kind: 'switch', text: 'no TLS' },
  cert: { kind: 'value', value: 'file', text: 'certificate chain, PEM' },
  keyFile: { kind: 'value', value: 'file', text: 'private key, PEM' },
};

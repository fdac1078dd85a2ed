/*
 * Configurations that do alike: TLS with the same certificate, a key compared and removed, cleartext to the upstream over
 * kept connections, bodies of any size passed on as they come.
 */

/** What a configuration is written from: ports of 127.0.0.1, PEM files, the accepted key and a folder to write in. */
export type Scene = {
  readonly folder: string;
  readonly restPort: number;
  readonly grpcPort: number;
  readonly upstreamRest: number;
  readonly upstreamGrpc: number;
  readonly cert: string;
  readonly key: string;
  /** Chain and private key in one file. */
  readonly bundle: string;
  readonly apiKey: string;
};

/** nginx: a map on the header, one worker, kept upstream connections. */
export function nginxConfig(scene: Scene): string {
  const { folder, restPort, grpcPort, upstreamRest, upstreamGrpc, cert, key, apiKey } = scene;
  const keep = 'keepalive 256; keepalive_requests 100000000;';
  const shared = `ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
    keepalive_requests 100000000; client_max_body_size 0; if ($allowed = 0) { return 401; }`;
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off; tcp_nodelay on;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  map $http_api_key $allowed { default 0; "${apiKey}" 1; }
  upstream rest { server 127.0.0.1:${upstreamRest}; ${keep} }
  upstream grpc { server 127.0.0.1:${upstreamGrpc}; ${keep} }
  server {
    listen 127.0.0.1:${restPort} ssl http2; ${shared}
    location / {
      proxy_pass http://rest; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header api-key "";
      proxy_request_buffering off; client_body_buffer_size 64k;
      proxy_buffer_size 16k; proxy_buffers 8 16k; proxy_max_temp_file_size 0;
    }
  }
  server {
    listen 127.0.0.1:${grpcPort} ssl http2; ${shared}
    location / { grpc_pass grpc://grpc; grpc_set_header api-key ""; client_body_buffer_size 256k; }
  }
}
`;
}

/** HAProxy: an ACL on the header, one thread, kept upstream connections. */
export function haproxyConfig(scene: Scene): string {
  const { restPort, grpcPort, upstreamRest, upstreamGrpc, bundle, apiKey } = scene;
  const check = `acl allowed req.hdr(api-key) -m str ${apiKey}
  http-request deny deny_status 401 unless allowed
  http-request del-header api-key`;
  return `global
  nbthread 1
  maxconn 8192
  tune.h2.initial-window-size 1048576
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend rest
  bind 127.0.0.1:${restPort} ssl crt ${bundle} alpn h2,http/1.1
  ${check}
  default_backend rest
frontend grpc
  bind 127.0.0.1:${grpcPort} ssl crt ${bundle} alpn h2
  ${check}
  default_backend grpc
backend rest
  server one 127.0.0.1:${upstreamRest}
backend grpc
  server one 127.0.0.1:${upstreamGrpc} proto h2
`;
}

/** Caddy: a matcher on the header. */
export function caddyConfig(scene: Scene): string {
  const { folder, restPort, grpcPort, upstreamRest, upstreamGrpc, cert, key, apiKey } = scene;
  const site = (port: number, upstream: number, versions: string): string => `https://localhost:${port} {
  bind 127.0.0.1
  tls ${cert} ${key}
  @allowed header api-key ${apiKey}
  handle @allowed {
    reverse_proxy http://127.0.0.1:${upstream} {
      header_up -api-key
      transport http {
        versions ${versions}
        keepalive_idle_conns 256
        keepalive_idle_conns_per_host 256
      }
    }
  }
  respond 401
}
`;
  const global = `{\n  admin off\n  auto_https off\n  storage file_system ${folder}/caddy\n  log {\n    level ERROR\n  }\n}\n`;
  return `${global}${site(restPort, upstreamRest, '1.1')}${site(grpcPort, upstreamGrpc, 'h2c 2')}`;
}

const envoyType = (path: string): string => `type.googleapis.com/envoy.extensions.${path}`;

function envoyFilters(apiKey: string): object[] {
  const header = { name: 'api-key', string_match: { exact: apiKey } };
  const policy = { permissions: [{ any: true }], principals: [{ header }] };
  const rbac = {
    '@type': envoyType('filters.http.rbac.v3.RBAC'),
    rules: { action: 'ALLOW', policies: { key: policy } },
  };
  return [
    { name: 'envoy.filters.http.rbac', typed_config: rbac },
    { name: 'envoy.filters.http.router', typed_config: { '@type': envoyType('filters.http.router.v3.Router') } },
  ];
}

function envoyListener(scene: Scene, name: string, port: number, alpn: readonly string[]): object {
  const route = {
    match: { prefix: '/' },
    route: { cluster: name, timeout: '0s' },
    request_headers_to_remove: ['api-key'],
  };
  const manager = {
    '@type': envoyType('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: name,
    codec_type: 'AUTO',
    route_config: { virtual_hosts: [{ name, domains: ['*'], routes: [route] }] },
    http_filters: envoyFilters(scene.apiKey),
  };
  const tls = {
    '@type': envoyType('transport_sockets.tls.v3.DownstreamTlsContext'),
    common_tls_context: {
      alpn_protocols: alpn,
      tls_certificates: [{ certificate_chain: { filename: scene.cert }, private_key: { filename: scene.key } }],
    },
  };
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
        filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
      },
    ],
  };
}

function envoyCluster(name: string, port: number, protocol: object): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  const options = { '@type': envoyType('upstreams.http.v3.HttpProtocolOptions'), explicit_http_config: protocol };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': options },
  };
}

/** Envoy: RBAC on the header; JSON, which it reads like YAML. */
export function envoyConfig(scene: Scene): string {
  const { restPort, grpcPort, upstreamRest, upstreamGrpc } = scene;
  return JSON.stringify({
    static_resources: {
      listeners: [
        envoyListener(scene, 'rest', restPort, ['h2', 'http/1.1']),
        envoyListener(scene, 'grpc', grpcPort, ['h2']),
      ],
      clusters: [
        envoyCluster('rest', upstreamRest, { http_protocol_options: {} }),
        envoyCluster('grpc', upstreamGrpc, { http2_protocol_options: {} }),
      ],
    },
  });
}

/**
 * Where the event loop enters the data path: the `place` of `internal_faults_total`, so the list is closed.
 *
 * - `exchange`: a step of an exchange (resolve, decide, inspect, forward, reject)
 * - `rest_listener`, `grpc_listener`: accepting, TLS, the listener's own timers
 * - `rest_relay`, `rest_server`, `rest_http2`: a client connection of the byte relay, of Fastify, of HTTP/2 on the REST port
 * - `rest_upstream`, `grpc_upstream`: an upstream connection
 * - `body`: reading, holding, decoding or checking a request body
 * - `grpc_client`: a client connection of the gRPC relay
 * - `clean_up`: what runs when an exchange or a connection has ended
 */
export const PLACES = [
  'exchange',
  'rest_listener',
  'rest_relay',
  'rest_server',
  'rest_http2',
  'rest_upstream',
  'body',
  'grpc_listener',
  'grpc_client',
  'grpc_upstream',
  'clean_up',
] as const;

export type Place = (typeof PLACES)[number];

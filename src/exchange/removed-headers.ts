import { CREDENTIAL_HEADERS } from '../identity/credential.ts';
import { CONFIRM_HEADER } from '../policy/guards/guard-rails.ts';
import { REASON_HEADER } from './break-glass.ts';

/**
 * Headers of a client that never reach upstream, in either protocol: credentials, statements about the client that only the
 * gateway may make, requests for another target or method, and what is said to the gateway itself. Lower case.
 */
export const REMOVED_HEADERS: readonly string[] = [
  ...CREDENTIAL_HEADERS,
  // A browser sends cookies of a host to each of its ports: the session of the console, and those of other programs. Qdrant reads none.
  'cookie',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-uri',
  'x-forwarded-server',
  'x-real-ip',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  // For the gateway itself.
  'x-qdrant-gateway-node',
  CONFIRM_HEADER,
  REASON_HEADER,
];

import type { Socket } from 'node:net';
import type { State } from '../config/state.ts';
import { openOwnPort } from '../upstream/sockets.ts';
import type { ListenerState } from './pages.ts';

/** The REST port of this gateway, as it is reached from this process. */
export interface Port {
  /** The address it listens on; an address of all interfaces is reached through loopback. */
  readonly host: string;
  readonly port: number;
  /** Path of a unix socket, in the place of both. */
  readonly path: string | undefined;
  /** The certificate that it shows, PEM, the leaf first; `undefined` = no TLS. */
  readonly certificate: Buffer | undefined;
}

/** The REST port as it listens, with the certificate in force; `undefined` = it is not open. */
export function ownRestPort({ config, secrets }: State, listeners: readonly ListenerState[]): Port | undefined {
  const rest = listeners.find(({ protocol }) => protocol === 'rest');
  const certificate = secrets.tls?.cert ?? undefined;
  if (!rest || rest.tls !== (certificate !== undefined)) return undefined;
  return { ...rest, path: config.gateway.listen.rest ?? undefined, certificate };
}

/** Opens a connection to it. Rejects if it is closed, or shows another certificate. */
export function portSocket(port: Port | undefined): Promise<Socket> {
  if (!port) return Promise.reject(new Error('the REST port is not open'));
  const { host, port: number, path, certificate } = port;
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return openOwnPort(path === undefined ? { host: reached, port: number } : { path }, certificate);
}

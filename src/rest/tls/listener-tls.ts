import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { TLS_PROFILE } from '../../config/tls-profile.ts';
import type { Handshakes } from '../../identity/certificates/handshakes.ts';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { carrierOf } from '../../net/client-address.ts';
import { preferring } from '../../net/tls/alpn.ts';
import { type ReadingBounds, readingTls } from '../../net/tls/reading.ts';
import type { BeginHandshake } from '../../net/tls-sniff.ts';

/** Certificate and key as PEM; null = there are none yet, and every handshake fails. */
export interface ListenerTls {
  readonly cert: string | Buffer | null;
  readonly key: string | Buffer | null;
  readonly passphrase?: string;
  /** Key of the session tickets, 48 bytes. */
  readonly ticketKeys?: Buffer;
  /** CA of the client certificates. */
  readonly ca?: string | Buffer;
  /** Revocation lists, one PEM text each. */
  readonly crl?: string[];
  /** A client certificate that `ca` signed is `required`; `asked` = clients without one, or with another, are let in. Default: none is asked for. */
  readonly clientCert?: 'required' | 'asked';
}

/** The parts of a listener that connections with TLS need. */
export interface TlsAcceptor {
  readonly bounds: ReadingBounds;
  readonly toLane: (socket: TLSSocket) => void;
  /** Told of faults of ours, which end the connection. */
  readonly report: FaultReport;
  /** Reads client certificates; `undefined` = none are identities. */
  readonly handshakes: Handshakes | undefined;
}

/** A TLS server that is given its sockets by `begin` and hands on the ones whose handshake is done. */
export function createTls(
  tls: ListenerTls,
  { bounds, toLane, report, handshakes }: TlsAcceptor,
): { readonly server: TlsServer; readonly begin: BeginHandshake } {
  const server = createTlsServer({
    ...secureContext(tls),
    ALPNCallback: preferring(['h2', 'http/1.1']),
    requestCert: tls.clientCert !== undefined,
    rejectUnauthorized: tls.clientCert === 'required',
  });
  const guardOf = (socket: TLSSocket): Guard => {
    const cut = (): void => void socket.destroy();
    return new Guard({ fail: cut, cut }, 'rest_listener', report);
  };
  const own = new Guard({ fail: ignore, cut: ignore }, 'rest_listener', report);
  const secured = (socket: TLSSocket): void => {
    // Node does not end the connection for every error, such as a renegotiation.
    socket.on(
      'error',
      own.entry(() => void socket.destroy()),
    );
    socket.disableRenegotiation();
    handshakes?.done(socket, carrierOf(socket));
    toLane(socket);
  };
  server.on(
    'secureConnection',
    own.entry((socket: TLSSocket) => guardOf(socket).run(() => secured(socket))),
  );
  return { server, begin: readingTls(server, { ...bounds, begun: (socket) => handshakes?.begun(socket) }) };
}

/** Throws when the certificate or the key cannot be used; changes nothing. */
export function tryContext(options: SecureContextOptions): void {
  createSecureContext(options);
}

/** Options of the listener's TLS context. Its sessions resume on this listener only: the gRPC port may ask for a certificate. */
export function secureContext(tls: ListenerTls): SecureContextOptions & { ticketKeys?: Buffer } {
  return {
    ...(tls.cert && tls.key ? { cert: tls.cert, key: tls.key } : {}),
    ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.crl === undefined ? {} : { crl: tls.crl }),
    ...(tls.ticketKeys === undefined ? {} : { ticketKeys: tls.ticketKeys }),
    ...TLS_PROFILE,
    sessionIdContext: 'rest',
  };
}

function ignore(): void {}

import { createSecureContext, createServer, type SecureContext, type TLSSocket } from 'node:tls';
import { TLS_PROFILE } from '../../config/tls-profile.ts';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { type ReadingBounds, readingTls } from '../../net/tls/reading.ts';
import type { BeginHandshake } from '../../net/tls-sniff.ts';

/*
 * TLS-ALPN-01 (RFC 8737): a certificate authority connects to the REST port with the one protocol `acme-tls/1`, looks at the
 * certificate and leaves.
 */

/** The only protocol of a validation. */
export const ACME_TLS = 'acme-tls/1';

/** The proof of a host name: a certificate and its key, PEM. */
export interface ValidationCertificate {
  readonly domain: string;
  readonly cert: string;
  readonly key: string;
}

/** The proofs that are shown now; usually there is none. */
export class Validations {
  #contexts: ReadonlyMap<string, SecureContext> = new Map();

  /** True = a certificate authority may come to look at one. */
  get pending(): boolean {
    return this.#contexts.size > 0;
  }

  /** Replaces all of them. */
  set(validations: readonly ValidationCertificate[]): void {
    this.#contexts = new Map(
      validations.map(({ domain, cert, key }) => [domain, createSecureContext({ ...TLS_PROFILE, cert, key })] as const),
    );
  }

  /** @param name as the client names the host (SNI) */
  contextOf(name: string): SecureContext | undefined {
    return this.#contexts.get(name.toLowerCase());
  }
}

/**
 * The TLS server for validations. INVARIANT: it speaks no protocol but `acme-tls/1`, has no certificate but those of proofs, and
 * hands on no connection. The listener's own TLS server does not know this protocol. So no validation reaches a request, and
 * no request is answered with such a certificate.
 */
export function createValidationTls(
  validations: Validations,
  bounds: ReadingBounds,
  report: FaultReport,
): BeginHandshake {
  const own = new Guard({ fail: ignore, cut: ignore }, 'rest_listener', report);
  // A name without a proof gets no certificate: the handshake fails.
  const proofOf = own.entry((name: string, done: (error: null, context?: SecureContext) => void) =>
    done(null, validations.contextOf(name)),
  );
  const server = createServer({
    ...TLS_PROFILE,
    ALPNProtocols: [ACME_TLS],
  });
  const end = (socket: TLSSocket): void => {
    socket.on('error', ignore);
    socket.resume();
    socket.end(own.entry(() => void socket.destroySoon()));
    own.after(bounds.timeoutMs, () => void socket.destroy()).unref();
  };
  server.on('secureConnection', own.entry(end));
  return readingTls(server, { ...bounds, SNICallback: proofOf });
}

function ignore(): void {}

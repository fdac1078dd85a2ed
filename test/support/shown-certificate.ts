import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { type PresentedCertificate, VerifiedCertificate } from '../../src/identity/certificates/presented.ts';
import { CertificateTrust } from '../../src/identity/certificates/trust.ts';
import { listBlocks } from '../../src/x509/revocation-list.ts';
import { newCa, type Pair } from './client-certificates.ts';

/** CAs and revocation lists, PEM. */
export interface Trusted {
  readonly ca: readonly string[];
  readonly crl?: readonly string[];
}

const server = await (await newCa('server')).issue({ usages: ['1.3.6.1.5.5.7.3.1'], san: [[2, 'localhost']] });

const pemOf = (blocks: readonly string[]): Buffer => Buffer.from(blocks.join('\n'));

export function trustIn({ ca, crl }: Trusted): CertificateTrust {
  return new CertificateTrust({ ca: pemOf(ca), crl: crl ? pemOf(crl) : null });
}

/** What a listener has of a client's certificate, after a real handshake. @param trust that of the listener, as a value */
export async function shownTo(
  trusted: Trusted,
  client: Partial<Pick<Pair, 'cert' | 'key'>>,
  trust: CertificateTrust = trustIn(trusted),
): Promise<PresentedCertificate | undefined> {
  const crl = trusted.crl && { crl: [...listBlocks(pemOf(trusted.crl))] };
  const listener = createServer({
    ...{ cert: server.cert, key: server.key, ca: pemOf(trusted.ca), ...crl },
    ...{ requestCert: true, rejectUnauthorized: false },
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const { cert, key } = client;
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...(cert && key && { cert, key }) });
  socket.on('error', () => undefined);
  const [taken] = (await once(listener, 'secureConnection')) as [TLSSocket];
  taken.on('error', () => undefined);
  const shown = VerifiedCertificate.presentedOn(taken, trust);
  taken.destroy();
  socket.destroy();
  listener.close();
  return shown;
}

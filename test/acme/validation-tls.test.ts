import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import t, { type Test } from 'tap';
import { validationCertificate } from '../../src/acme/x509.ts';
import { newCa } from '../support/client-certificates.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { findProgram, runProgram } from '../support/process/programs.ts';

const DOMAIN = 'qdrant.example.com';
const SECOND = 'second.example.com';
const ALERT = {
  handshake: 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
  protocol: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
} as const;

const proofs = await Promise.all(
  [DOMAIN, SECOND].map((domain) => validationCertificate(domain, `token.${domain}`, Date.now())),
);
const proofOf = new Map(proofs.map(({ domain, cert }) => [domain, new X509Certificate(cert).fingerprint256]));

interface Outcome {
  readonly protocol: string | false | null;
  readonly certificate: string | undefined;
  /** What came after a request on the connection. */
  readonly answer: string;
}

/** Shakes hands, sends a request, and tells what came; a text is the code of the failed handshake. */
function ask(port: number, options: ConnectionOptions): Promise<Outcome | string> {
  const { promise, resolve } = Promise.withResolvers<Outcome | string>();
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  let shaken: Omit<Outcome, 'answer'> | undefined;
  let answer = '';
  socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
  socket.once('secureConnect', () => {
    const { raw } = socket.getPeerCertificate();
    const certificate = new X509Certificate(raw).fingerprint256;
    shaken = { protocol: socket.alpnProtocol, certificate };
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  });
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.on('close', () => resolve(shaken ? { ...shaken, answer } : 'closed'));
  return promise;
}

/** A port whose connections go on to another in pieces of 100 bytes. */
async function inSmallPieces(to: number): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer((client) => {
    const onward = connectTcp({ port: to, host: '127.0.0.1', noDelay: true });
    onward.pipe(client).on('error', () => undefined);
    onward.on('error', () => client.destroy());
    client.on('data', async (chunk: Buffer) => {
      client.pause();
      for (let at = 0; at < chunk.length; at += 100) {
        await new Promise((resolve) => onward.write(chunk.subarray(at, at + 100), resolve));
        // In a turn of its own, so that the pieces do not become one.
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.resume();
    });
    client.on('close', () => onward.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

async function attacked(t: Test, gateway: RunningGateway): Promise<void> {
  const { rest, grpc } = gateway;
  const alpn = (...protocols: string[]) => ({ ALPNProtocols: protocols, servername: DOMAIN });
  const ordinary = await ask(rest.port, alpn('http/1.1'));
  const own = typeof ordinary === 'string' ? ordinary : ordinary.certificate;
  gateway.setValidations(proofs);

  for (const domain of [DOMAIN, SECOND, DOMAIN.toUpperCase()]) {
    const found = await ask(rest.port, { ALPNProtocols: ['acme-tls/1'], servername: domain });
    const certificate = proofOf.get(domain.toLowerCase());
    t.same(
      found,
      { protocol: 'acme-tls/1', certificate, answer: '' },
      `${domain} is proved, and no request is answered`,
    );
  }
  const old = await ask(rest.port, { ...alpn('acme-tls/1'), maxVersion: 'TLSv1.2' });
  t.match(old, { protocol: 'acme-tls/1', answer: '' }, 'also over TLS 1.2');

  const refused: readonly (readonly [name: string, port: number, options: ConnectionOptions, code: string])[] = [
    ['a name without a proof', rest.port, { ...alpn('acme-tls/1'), servername: 'other.example.com' }, ALERT.handshake],
    ['no name', rest.port, { ALPNProtocols: ['acme-tls/1'], servername: '' }, ALERT.handshake],
    ['the gRPC port', grpc.port, alpn('acme-tls/1'), ALERT.protocol],
    ['another spelling', rest.port, alpn('ACME-TLS/1'), ALERT.protocol],
    ['twice', rest.port, alpn('acme-tls/1', 'acme-tls/1'), ALERT.protocol],
    ['beside an unknown protocol', rest.port, alpn('acme-tls/1', 'spdy/3'), ALERT.protocol],
  ];
  for (const [name, port, options, code] of refused) t.equal(await ask(port, options), code, `${name} is refused`);

  const served: readonly (readonly [name: string, options: ConnectionOptions, protocol: string | false])[] = [
    ['a mixed list', alpn('acme-tls/1', 'http/1.1'), 'http/1.1'],
    ['a mixed list the other way round', alpn('http/1.1', 'acme-tls/1'), 'http/1.1'],
    ['a client without ALPN', { servername: DOMAIN }, false],
    ['a client of the name that is proved', alpn('http/1.1'), 'http/1.1'],
  ];
  for (const [name, options, protocol] of served) {
    const found = await ask(rest.port, options);
    t.match(found, { protocol, certificate: own, answer: /^HTTP\/1\.1 200/ }, `${name} gets the gateway's certificate`);
  }

  const split = connectTcp(rest.port, '127.0.0.1');
  split.on('error', () => undefined);
  split.write(Buffer.from([0x16, 3, 1, 2, 0]));
  await once(split, 'connect');
  // In two pieces, and then not at all.
  split.write(Buffer.from([1, 0]));
  split.end();
  await once(split.resume(), 'close');
  t.pass('a client that leaves within its first record is let go');

  const inPieces = await inSmallPieces(rest.port);
  const pieces = await ask(inPieces.port, alpn('acme-tls/1'));
  t.match(pieces, { protocol: 'acme-tls/1', certificate: proofOf.get(DOMAIN) }, 'a record in pieces of 100 bytes');
  inPieces.close();

  gateway.setValidations([]);
  t.equal(await ask(rest.port, alpn('acme-tls/1')), ALERT.protocol, 'after the proof nothing is shown any more');
}

t.test('T14: a certificate authority sees its proof on the REST port, and no other client does', async (t) => {
  const gateway = await startGateway();
  t.teardown(() => gateway.close());
  await attacked(t, gateway);
});

t.test('a validator needs no client certificate where clients need one', async (t) => {
  const file = join(mkdtempSync(join(tmpdir(), 'qdrant-gateway-ca-')), 'ca.pem');
  writeFileSync(file, (await newCa('clients')).cert);
  const gateway = await startGateway({
    settings: { 'service.verify_https_client_certificate': true, 'tls.ca_cert': file },
  });
  t.teardown(() => gateway.close());
  gateway.setValidations(proofs);
  const found = await ask(gateway.rest.port, { ALPNProtocols: ['acme-tls/1'], servername: DOMAIN });
  t.match(found, { protocol: 'acme-tls/1', certificate: proofOf.get(DOMAIN), answer: '' });
  const client = await ask(gateway.rest.port, { ALPNProtocols: ['http/1.1'], servername: DOMAIN });
  t.match(client, /ERR_SSL/, 'clients still do');
});

const OPENSSL = findProgram('openssl');

t.test('OpenSSL finds what RFC 8737 asks for', { skip: !OPENSSL && 'openssl is not installed' }, async (t) => {
  const gateway = await startGateway();
  t.teardown(() => gateway.close());
  gateway.setValidations(proofs);
  const place = `127.0.0.1:${gateway.rest.port}`;
  const options = ['-connect', place, '-servername', DOMAIN, '-alpn', 'acme-tls/1'];
  const seen = await runProgram(OPENSSL ?? '', ['s_client', ...options]);
  t.match(seen.out, /ALPN protocol: acme-tls\/1/);
  const file = join(mkdtempSync(join(tmpdir(), 'qdrant-gateway-proof-')), 'proof.pem');
  writeFileSync(file, proofs[0]?.cert ?? '');
  const { out } = await runProgram(OPENSSL ?? '', ['x509', '-noout', '-text', '-in', file]);
  t.match(out, /(1\.3\.6\.1\.5\.5\.7\.1\.31|ACME Identifier): critical/);
  t.match(out, new RegExp(`DNS:${DOMAIN}\\s`));
});

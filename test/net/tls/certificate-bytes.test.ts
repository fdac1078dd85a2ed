import t from 'tap';
import { HandshakeBudget } from '../../../src/limits/handshake-budget.ts';
import { CertificateBytes } from '../../../src/net/tls/certificate-bytes.ts';

/* The bytes of a handshake that asks for a certificate: how many of them OpenSSL gets, and when. */

/** The messages of a client's first bytes, as records or as one. */
const hello = Buffer.concat([Buffer.from('0100012c', 'hex'), Buffer.alloc(300, 1)]);
const certificates = Buffer.concat([Buffer.from('0b000fa0', 'hex'), Buffer.alloc(4000, 2)]);
const HELLO_BYTES = 309;
const NETWORK = '192.0.2.1';
const record = (...messages: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(messages);
  const head = Buffer.from('1603030000', 'hex');
  head.writeUInt16BE(content.length, 3);
  return Buffer.concat([head, content]);
};

t.test('certificates that come with a ClientHello wait as those behind it', (t) => {
  for (const [name, bytes] of [
    ['in a record of its own', Buffer.concat([record(hello), record(certificates)])],
    ['in the same record', record(hello, certificates)],
  ] as const) {
    const budget = new HandshakeBudget();
    budget.charge(NETWORK, 1e9, 0);
    const handshake = new CertificateBytes({ maxBytes: 16_384, budget, now: () => 0 }, NETWORK);
    t.same(handshake.next(bytes), { bytes: HELLO_BYTES }, `${name}: the hello`);
    const rest = bytes.subarray(HELLO_BYTES);
    t.match(handshake.next(rest), { waitMs: Number }, `${name}: the rest waits`);
    budget.charge(NETWORK, -1e9, 0);
    t.same(handshake.next(rest), { bytes: rest.length }, `${name}: later`);
  }
  t.end();
});

t.test('a client without certificates waits for nothing', (t) => {
  const budget = new HandshakeBudget();
  budget.charge(NETWORK, 1e9, 0);
  const handshake = new CertificateBytes({ maxBytes: 16_384, budget, now: () => 0 }, NETWORK);
  t.same(handshake.next(record(hello)), { bytes: HELLO_BYTES });
  t.same(handshake.next(Buffer.alloc(100)), { bytes: 100 });
  t.end();
});

t.test('no more bytes than the bound are given, in one piece or in many', (t) => {
  for (const size of [40_000, 1000]) {
    const handshake = new CertificateBytes({ maxBytes: 4096, budget: new HandshakeBudget(), now: () => 0 }, NETWORK);
    let given = 0;
    let step = handshake.next(record(hello));
    for (let piece = 0; typeof step === 'object' && piece < 100; piece += 1) {
      given += 'bytes' in step ? step.bytes : 0;
      step = handshake.next(Buffer.alloc(size, 22));
    }
    t.equal(given, 4096, `pieces of ${size} bytes`);
    t.equal(step, 'too-many');
  }
  t.end();
});

import * as fc from 'fast-check';
import t from 'tap';
import { ClientWindow, INITIAL_WINDOW } from '../../src/grpc/relay/client-window.ts';

/** The two ends of a connection: what the client may still send, and what upstream still takes. */
class Ends {
  readonly window = new ClientWindow();
  client = INITIAL_WINDOW;
  upstream = INITIAL_WINDOW;
  held = 0;
  /** Bytes that upstream has taken and not granted again. */
  taken = 0;
  relayed = 0;

  /** A call of `came` bytes that becomes `sent` bytes. */
  remake(came: number, sent: number): void {
    if (came > this.client) return;
    this.client -= came;
    this.window.received(came);
    if (this.window.replaced(came, sent)) {
      this.relayed += 1;
      this.upstream -= sent;
      this.taken += sent;
    } else this.window.swallowed(came);
  }

  /** A call that passes as it is. */
  pass(bytes: number): void {
    if (bytes > this.client) return;
    this.client -= bytes;
    this.window.received(bytes);
    this.upstream -= bytes;
    this.taken += bytes;
  }

  flush(): void {
    this.client += this.window.takeReturn();
  }

  /** Upstream grants what it has taken, or more. */
  grant(more: number): void {
    const bytes = this.taken + more;
    this.taken = 0;
    if (bytes === 0) return;
    this.upstream += bytes;
    this.client += this.window.grantedByUpstream(bytes);
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('remake' as const), came: fc.nat(20_000), sent: fc.nat(22_000) }),
  fc.record({ kind: fc.constant('pass' as const), came: fc.nat(20_000), sent: fc.constant(0) }),
  fc.record({ kind: fc.constant('flush' as const), came: fc.constant(0), sent: fc.constant(0) }),
  fc.record({ kind: fc.constant('grant' as const), came: fc.constantFrom(0, 0, 1_000_000), sent: fc.constant(0) }),
);

t.test('the client never gets credit that upstream has not granted, and none is lost', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ends = new Ends();
      for (const { kind, came, sent } of steps) {
        if (kind === 'remake') ends.remake(came, sent);
        else if (kind === 'pass') ends.pass(came);
        else if (kind === 'flush') ends.flush();
        else ends.grant(came);
        if (ends.upstream < 0 || ends.client > ends.upstream) return false;
      }
      ends.flush();
      ends.grant(0);
      // All is taken: the client has its window, but for what is spare.
      return ends.client >= (ends.upstream * 3) / 4 - 4096 && ends.client <= ends.upstream;
    }),
    { numRuns: 400 },
  );
  t.pass();
});

t.test('a call that grows is relayed once there is spare credit, and then always', async (t) => {
  const ends = new Ends();
  ends.remake(100, 150);
  t.equal(ends.relayed, 0, 'nothing is spare yet');
  ends.flush();
  t.equal(ends.client, INITIAL_WINDOW - 100);
  ends.grant(1_000_000);
  for (let i = 0; i < 4000; i++) {
    ends.remake(100, 150);
    if (ends.taken > 500_000) ends.grant(0);
  }
  t.equal(ends.relayed, 4000);
});

t.test('calls that grow are relayed to an upstream with a large window that grants seldom', async (t) => {
  const ends = new Ends();
  ends.remake(1000, 1045);
  ends.grant(1 << 30);
  // A sixteenth of the window has come, and nothing has been granted again.
  const calls = (1 << 26) / 1000;
  for (let i = 0; i < calls; i++) ends.remake(1000, 1045);
  t.equal(ends.relayed, Math.ceil(calls));
  t.ok(ends.client > (1 << 30) * (14 / 16), 'the client has most of the window');
});

t.test('calls that pass as they are cost no credit', async (t) => {
  const ends = new Ends();
  ends.pass(1000);
  ends.grant(0);
  t.equal(ends.client, INITIAL_WINDOW);
  t.equal(ends.upstream, INITIAL_WINDOW);
});

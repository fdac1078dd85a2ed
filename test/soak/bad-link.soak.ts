import t from 'tap';
import { calmsDown, make, readLarge, startBadLink, writeGrpc, writeRest } from '../support/bad-link.ts';
import { usageOf } from '../support/invariants.ts';

t.setTimeout(900_000);

for (const relay of ['true', 'false']) {
  t.test(`U7: 2 s late, 1 % resets, 10 KB/s (relay ${relay})`, async (test) => {
    const link = await startBadLink({ QDRANT_GATEWAY__REST__RELAY: relay });
    test.teardown(() => link.close());
    const before = usageOf(link);
    make(link, { latencyMs: 2000, resetsPerThousand: 10, bytesPerSecond: 10_000 });
    const rest = await writeRest(test, link, 1000, 100);
    const grpc = await writeGrpc(test, link, 1000, 20);
    test.comment(`U7: REST ${JSON.stringify(rest)}, gRPC ${JSON.stringify(grpc)}`);
    const grown = await readLarge(test, link, 20, 200_000);
    test.comment(`U7: 20 answers of 1 MiB: +${grown} MB, at most ${link.rest.mostHeld()} bytes waited in the proxy`);
    test.ok(grown < 80, `+${grown} MB`);
    await calmsDown(test, link, before);
  });
}

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTls } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { casesOf, percentile, settles, startArena, usageOf } from '../support/invariants.ts';
import { keptMegabytes, TELLS_KEPT_MEMORY } from '../support/load/kept-memory.ts';
import { startPacedLoad } from '../support/load/paced.ts';
import { mountSecret, pairOf } from '../support/operated.ts';
import { until } from '../support/until.ts';

/** `npm run soak -- certificates [changes]`: some two minutes. Tells on stderr how far it is. */
const [CHANGES = 100] = process.argv.slice(2).map(Number);
const PER_SECOND = 500;
/** Under load alone, before the first change. */
const WARM_UP_MS = 10_000;
/** What a certificate may take until it is served, from when its last byte was written. */
const TAKEN_MS = 1000;
const LOOK_MS = 25;

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-certificates-'));
const secret = mountSecret(join(folder, 'secret'));
const [cert, key] = [join(folder, 'secret', 'cert'), join(folder, 'secret', 'key')];
const pairs = await Promise.all([pairOf(0), pairOf(1)]);
const caFile = join(folder, 'ca.pem');
writeFileSync(caFile, Buffer.concat(pairs.map(({ ca }) => ca)));
const textOf = (at: number) => {
  const pair = pairs[at % 2] ?? pairs[0];
  return { cert: pair.cert.toString(), key: pair.key.toString() };
};
secret.swap(textOf(0));

// Nothing is set that makes it look more often than by default.
const settings = { QDRANT__TLS__CERT: cert, QDRANT__TLS__KEY: key, QDRANT__LOG_LEVEL: 'info' };
const arena = await startArena({ ...settings, ...TELLS_KEPT_MEMORY });
const { gateway } = arena;
const trusting = { ...arena, gateway: { ...gateway, ca: Buffer.concat(pairs.map(({ ca }) => ca)) } };

/** Which certificate a new connection to each port is shown. */
async function shown(): Promise<readonly string[]> {
  const ask = async (port: number): Promise<string> => {
    const socket = await openTls(port, { ca: trusting.gateway.ca, ALPNProtocols: ['h2'] });
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  return await Promise.all([ask(gateway.rest.port), ask(gateway.grpc.port)]);
}

const refusals = (): number => gateway.errors().split('the old state stays in force').length;

/** Waits until half a file has been read, and not been taken. */
async function isLeft(half: () => void): Promise<void> {
  const [before, told] = [await shown(), refusals()];
  half();
  await until(() => refusals() > told, 'half a file is told of', 3000);
  if (String(await shown()) !== String(before)) throw new Error('half a file was taken');
}

/** Ways to put another pair in place; each resolves as soon as the last byte of it is written. */
const WAYS: Readonly<Record<string, (at: number) => Promise<void> | void>> = {
  'a link is swapped': (at) => secret.swap(textOf(at)),
  'a link is swapped to half a file, then to a whole one': async (at) => {
    const next = textOf(at);
    await isLeft(() => secret.swap({ ...next, cert: next.cert.slice(0, 200) }));
    secret.swap(next);
  },
  'files are written in place, half of the certificate first': async (at) => {
    const next = textOf(at);
    await isLeft(() => writeFileSync(cert, next.cert.slice(0, 200)));
    appendFileSync(cert, next.cert.slice(200));
    writeFileSync(key, next.key);
  },
  'files are written in place, the key once the certificate has been met alone': async (at) => {
    const next = textOf(at);
    await isLeft(() => writeFileSync(cert, next.cert));
    writeFileSync(key, next.key);
  },
};

casesOf(trusting)(
  `T5: ${CHANGES} changes of the certificate under ${PER_SECOND} requests/s lose nothing, leave nothing`,
  async (t) => {
    const resting = usageOf(arena);
    const load = startPacedLoad({ ...gateway, caFile, credential: KEYS.admin, perSecond: PER_SECOND });
    const names = Object.keys(WAYS);
    const took: number[] = [];
    const kept: number[] = [];
    const prints: string[] = [];
    const began = performance.now();
    await until(() => performance.now() - began > WARM_UP_MS, 'it is warm', WARM_UP_MS * 2);
    const { megabytes } = usageOf(arena);
    for (let change = 1; change <= CHANGES; change += 1) {
      const old = await shown();
      await WAYS[names[change % names.length] ?? '']?.(change);
      const written = performance.now();
      const isNew = async (): Promise<boolean> => {
        // A look costs two handshakes: many of them would be a load of their own.
        await sleep(LOOK_MS);
        return (await shown()).every((print, port) => print !== old[port]);
      };
      await until(isNew, `change ${change} is served`, 10_000);
      took.push(performance.now() - written);
      prints.push(...(await shown()));
      kept.push(await keptMegabytes(gateway));
      if (change % 10 === 0) process.stderr.write(`T5: ${change} of ${CHANGES} changes, ${kept.at(-1)} MB kept\n`);
    }
    const { served, wrong, perSecond, ms } = await load.stop();
    const answered = [0.5, 0.99, 1].map((share) => `${percentile(ms, share).toFixed(1)} ms`);
    const quarter = Math.floor(CHANGES / 4);
    const low = (values: readonly number[], from: number): number => Math.min(...values.slice(from, from + quarter));
    // Who is just connected comes and goes: the lows tell what stays.
    const lows = [low(kept, 0), low(kept, CHANGES - quarter)] as const;
    t.comment(`T5: ${JSON.stringify(served)}, ${perSecond}/s; p50, p99, longest: ${answered.join(', ')}`);
    t.comment(`T5: served after ${percentile(took, 0.5).toFixed(0)} ms, at most ${Math.max(...took).toFixed(0)} ms`);
    t.comment(`T5: kept ${lows.join(' to ')} MB, resident ${megabytes} to ${usageOf(arena).megabytes} MB`);
    t.same(wrong, [], 'zero failed requests');
    t.ok(perSecond > PER_SECOND * 0.98, `${perSecond} requests a second`);
    for (const lane of ['relay', 'http2', 'grpc']) {
      t.ok((served[lane] ?? 0) > 0 && (served[`fresh ${lane}`] ?? 0) > 0, `${lane}: on old and on new connections`);
    }
    t.ok(Math.max(...took) <= TAKEN_MS, 'each is served within a second');
    t.equal(new Set(prints).size, 2, 'no other certificate was shown');
    t.ok(lows[1] <= lows[0] * 1.1, 'memory does not grow');
    // Handles and connections as before the load, memory as under it.
    await settles(t, arena, { ...resting, megabytes });
    t.comment(`T5: handles ${resting.handles} to ${usageOf(arena).handles}`);
    rmSync(folder, { recursive: true });
  },
);

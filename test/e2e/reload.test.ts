import { X509Certificate } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { shortened } from '../support/generators/runs.ts';
import { openLanes, startLoad } from '../support/load/steady.ts';
import { mountSecret, pairOf, startOperated } from '../support/operated.ts';
import { FILE_MS } from '../support/patience.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** Reloads while requests come on connections that stay open, over every lane. */

t.setTimeout(FILE_MS);
/** Every step of both tests, and one file that is taken by itself, is in twenty of them. */
const ROUNDS = shortened(100, 20);
const RULE = 'rules: [{ id: narrow, keys: [api_key], access: r }]\n';
const CORD = 'rules:\n  - id: narrow\n    access: [{ collection: bo';

t.test(`O5: ${ROUNDS} reloads with good, bad and half-written files lose no request`, async (test) => {
  const gateway = await startOperated();
  test.teardown(() => gateway.close());
  const load = await startLoad(gateway, KEYS.admin);
  const second = await pairOf(1);
  const outcomes = { good: 0, bad: 0 };
  const steps: readonly (() => void)[] = [
    () => gateway.write('policy.yaml', RULE),
    () => {
      gateway.write('cert.pem', second.cert);
      gateway.write('key.pem', second.key);
    },
    () => gateway.write('policy.yaml', 'rules: [{ id: a, acces: r }]\n'),
    () => gateway.write('policy.yaml', 'rules: []\n'),
    () => gateway.write('read.key', `${KEYS.readOnly}-2`),
    () => writeFileSync(join(gateway.folder, 'policy.yaml'), CORD),
    () => writeFileSync(join(gateway.folder, 'read.key'), ''),
    () => gateway.write('policy.yaml', RULE),
    () => gateway.write('read.key', KEYS.readOnly),
    () => gateway.write('gateway.yaml', `gateway: { limits: { json_depth: ${(outcomes.good % 50) + 10} } }\n`),
  ];
  for (let at = 0; at < ROUNDS; at += 1) {
    steps[at % steps.length]?.();
    const { ok } = await gateway.supervisor.reload('signal');
    outcomes[ok ? 'good' : 'bad'] += 1;
    await load.round();
  }
  const { served, wrong } = await load.stop();
  test.same(outcomes, { good: 0.6 * ROUNDS, bad: 0.4 * ROUNDS });
  test.same(wrong, []);
  test.comment(JSON.stringify(served));
  for (const count of Object.values(served)) test.ok(count >= 2 * ROUNDS, 'every lane was asked around every reload');
});

/** Serial number of the certificate a port presents to a new connection. */
function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

t.test(
  `T5: certificates change ${ROUNDS} times under load, by reload and by file, half-written ones included`,
  async (test) => {
    const folder = test.testdir();
    const secret = mountSecret(folder);
    const pairs = [await pairOf(0), await pairOf(1)] as const;
    const filesOf = (which: 0 | 1) => ({
      'tls.crt': pairs[which].cert.toString(),
      'tls.key': pairs[which].key.toString(),
    });
    secret.swap(filesOf(0));
    const gateway = await startOperated({
      settings: { 'tls.cert': join(folder, 'tls.crt'), 'tls.key': join(folder, 'tls.key') },
    });
    test.teardown(() => gateway.close());
    const ports = [gateway.rest.port, gateway.grpc.port];
    const serials = pairs.map(({ cert }) => new X509Certificate(cert).serialNumber);
    const load = await startLoad(gateway, KEYS.admin, 1);
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    await load.round();
    const before = descriptors();
    const fresh: unknown[] = [];
    for (let at = 1; at <= ROUNDS; at += 1) {
      const which = (at % 2) as 0 | 1;
      if (at % 10 === 0) {
        secret.swap({ ...filesOf(which), 'tls.crt': filesOf(which)['tls.crt'].slice(0, 100) });
        fresh.push((await gateway.supervisor.reload('signal')).ok);
        test.same(await serialOf(gateway.rest.port), serials[1 - which], `${at}: half a certificate changes nothing`);
      }
      secret.swap(filesOf(which));
      if (at % 20 !== 0) await gateway.supervisor.reload('signal');
      await until(async () => {
        const seen = await Promise.all(ports.map(serialOf));
        return seen.every((serial) => serial === serials[which]);
      }, `${at}: both ports present the new certificate`);
      // New connections, one to each port.
      const answer = await ask(gateway, 'GET', '/collections/books/exists', { 'api-key': KEYS.admin });
      if (answer.status !== 200) fresh.push(answer);
    }
    await load.round();
    const settled = () => descriptors() <= before + 4;
    await until(settled, 'descriptors are given back').catch(() => undefined);
    const after = descriptors();
    const { served, wrong } = await load.stop();
    test.same(wrong, [], 'no request lost, and each change came in force');
    test.same(
      fresh,
      Array.from({ length: ROUNDS / 10 }, () => false),
    );
    test.ok(after <= before + 4, `descriptors: ${before}, then ${after}`);
    test.comment(JSON.stringify(served));
  },
);

t.test('a key that changes by a mounted Secret locks its owner out on open connections', async (test) => {
  const folder = test.testdir();
  const secret = mountSecret(folder);
  secret.swap({ key: KEYS.admin });
  const gateway = await startOperated({ settings: { 'service.api_key_file': join(folder, 'key') } });
  const lanes = await openLanes(gateway);
  test.teardown(async () => {
    lanes.close();
    await gateway.close();
  });
  const all = async (credential: string): Promise<(string | undefined)[]> =>
    Promise.all(Object.values(lanes.ask).map((ask) => ask(credential)));
  const token = makeToken({ access: 'm' });
  const refused = ['401 Invalid API key or JWT', '401 Invalid API key or JWT', '16 Invalid API key or JWT'];
  const forged = ['403 InvalidSignature', '403 InvalidSignature', '7 InvalidSignature'];
  const served = [undefined, undefined, undefined];
  test.same([await all(KEYS.admin), await all('another'), await all(token)], [served, refused, served]);
  secret.swap({ key: 'another' });
  await until(async () => (await all(KEYS.admin)).every((one) => one !== undefined), 'the old key is refused');
  test.same([await all(KEYS.admin), await all('another')], [refused, served]);
  test.same(await all(token), forged, 'and so is the token it signed, remembered or not');
});

t.test('SIGHUP reads everything anew; what comes of it is one line', async (test) => {
  const folder = test.testdir({ 'policy.yaml': 'rules: []\n' });
  const upstream = await startFakeQdrant();
  const gateway = await startGatewayProcess(upstream, {
    QDRANT_GATEWAY__POLICY_FILE: join(folder, 'policy.yaml'),
    QDRANT_GATEWAY__RELOAD__WATCH: 'false',
    QDRANT__LOG_LEVEL: 'info',
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const logged = (): unknown[] =>
    gateway
      .errors()
      .split('\n')
      .filter((line) => line.includes('"cause":'))
      .map((line) => JSON.parse(line));
  writeFileSync(join(folder, 'policy.yaml'), RULE);
  gateway.child.kill('SIGHUP');
  await until(() => logged().length > 0, 'a line');
  writeFileSync(join(folder, 'policy.yaml'), CORD);
  gateway.child.kill('SIGHUP');
  await until(() => logged().length > 1, 'another line');
  gateway.child.kill('SIGHUP');
  await until(() => logged().length > 2, 'and another, as it is still so');
  test.match(logged(), [
    { level: 'info', cause: 'signal', generation: 2, changed: ['rule narrow added'], msg: 'reloaded' },
    {
      level: 'error',
      cause: 'signal',
      problems: [/policy\.yaml:3:\d+: not valid yaml/],
      msg: /old state stays in force/,
    },
    { level: 'error', cause: 'signal' },
  ]);
  test.match((await ask(gateway, 'PUT', '/collections/x', { 'api-key': KEYS.admin }, '{}')).status, 403);
});

import t from 'tap';
import { frameClient, framed } from '../support/clients/raw-grpc.ts';
import type { FakeQdrantOptions } from '../support/fake-qdrant/main.ts';
import { startGateway } from '../support/gateway.ts';
import { onEveryTransport, Witness } from '../support/transports/alike.ts';
import { openTransports } from '../support/transports/transports.ts';
import { type Entry, filteredGrpcVerdicts, listAnswer, listedEntries } from '../support/verdicts/filtered-grpc.ts';
import { filteredOutcome, filteredRestVerdicts, upstreamAnswer } from '../support/verdicts/filtered-rest.ts';
import { credentialOf } from '../support/verdicts/principals.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';

/** Answers that hide names from a list, through the running gateway, before what an unsecured Qdrant answers. */
t.test('filtered REST answers, on every transport', async (t) => {
  let server = '';
  const onRest: FakeQdrantOptions['onRest'] = ({ url = '', headers }, response) => {
    const [path = '', query = ''] = url.split('?', 2);
    const found = upstreamAnswer(server, path, query, headers['x-as']?.toString());
    if (!found) return false;
    response.writeHead(found.status, { 'content-type': 'application/json' }).end(JSON.stringify(found.answer));
    return true;
  };
  const witness = new Witness();
  const transports = await openTransports({ observers: [witness.observe], upstream: { onRest } });
  t.teardown(() => transports.close());
  const deviations = new Deviations('filtered-rest.json');
  const verdicts = filteredRestVerdicts();
  for (const [name, group] of Map.groupBy(verdicts, ({ request }) => request.server)) {
    server = name;
    const requests = group.map(({ request: { path, query }, principal, grant }) => {
      const seesAll: [string, string][] = typeof grant === 'string' ? [['x-as', principal]] : [];
      const headers = [...credentialOf(principal, grant), ...seesAll];
      return { method: 'GET', target: `${path}${query && `?${query}`}`, headers };
    });
    const heard = await onEveryTransport(transports, witness, requests);
    for (const [index, verdict] of group.entries()) {
      const { first, differences = [] } = heard[index] ?? {};
      const { time: _, ...answer } = JSON.parse(first?.answer.body ?? '');
      const outcome = filteredOutcome(verdict, first?.answer.status ?? 0, answer);
      const said = `${verdict.case} as ${verdict.principal}`;
      t.equal(deviations.settled(outcome, verdict), verdict.recorded, said);
      if (differences.length > 0) t.strictSame(differences, [], `${said}: the same on every transport`);
    }
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} filtered REST answers replayed through the running gateway`);
});

t.test('filtered gRPC answers', async (t) => {
  let all: readonly Entry[] | undefined;
  const onGrpc: FakeQdrantOptions['onGrpc'] = (stream) => {
    if (!all) return false;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(framed(listAnswer(all)));
    return true;
  };
  const gateway = await startGateway({ upstream: { onGrpc } });
  const client = frameClient(gateway);
  t.teardown(async () => {
    client.close();
    await gateway.close();
  });
  const deviations = new Deviations('filtered-grpc.json');
  const verdicts = filteredGrpcVerdicts();
  for (const verdict of verdicts) {
    const { path, hex } = verdict.request;
    all = verdict.request.all;
    const headers = credentialOf(verdict.principal, verdict.grant);
    const { code, message, body } = await client.call({ method: path, headers, message: Buffer.from(hex, 'hex') });
    const outcome = code === 0 ? `0 ${JSON.stringify(listedEntries(body.subarray(5)))}` : `${code} ${message}`;
    t.equal(deviations.settled(outcome, verdict), verdict.recorded, `${verdict.case} as ${verdict.principal}`);
  }
  t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${verdicts.length} filtered gRPC answers replayed through the running gateway`);
});

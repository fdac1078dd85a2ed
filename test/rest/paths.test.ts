import { readFileSync } from 'node:fs';
import t from 'tap';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway } from './lane-fixture.ts';

/** Status, and the error text where one was recorded. */
type Recorded = readonly [status: number, text?: string];
type Who = 'none' | 'main' | 'listA';

interface PathCase {
  readonly case: string;
  readonly method: string;
  readonly target: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly all?: Recorded;
  readonly none?: Recorded;
  readonly main?: Recorded;
  readonly listA?: Recorded;
  /** The path upstream gets, where it is not the target. */
  readonly to?: string;
  /** Where the gateway answers otherwise, never more. */
  readonly ours?: { readonly [who in Who]?: Recorded } & { readonly why: string };
}

const cases: readonly PathCase[] = JSON.parse(readFileSync(new URL('../cases/paths.json', import.meta.url), 'utf8'));

t.test('recorded request targets get the recorded answers', async (t) => {
  let answering: Recorded = [200];
  const upstream = await recordingUpstream((request, response) => {
    const [status, text] = answering;
    response.statusCode = status;
    const list = { result: { collections: [{ name: 'a' }, { name: 'secret' }] }, status: 'ok', time: 0.1 };
    const body =
      request.url?.startsWith('/collections?') || request.url === '/collections'
        ? list
        : { status: status === 200 ? 'ok' : { error: text } };
    response.setHeader('content-type', 'application/json');
    response.end(status === 404 && !text ? '' : JSON.stringify(body));
  });
  const gateway = await startGateway(upstream.port);
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  for (const one of cases) {
    for (const who of ['none', 'main', 'listA'] as const) {
      const native = one[who] ?? one.all ?? [0];
      const expected = one.ours?.[who] ?? native;
      answering = one.main ?? one.all ?? [200];
      upstream.received.length = 0;
      const key = who === 'none' ? '' : `api-key: ${who}\r\n`;
      const headers = (one.headers ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join('');
      const bytes = `${one.method} ${one.target} HTTP/1.1\r\nhost: gateway.test\r\n${key}${headers}connection: close\r\n\r\n`;
      const { text } = await exchangeRaw(gateway.port, bytes);
      const answer = readAnswer(text);
      const name = `${one.case}: ${one.method} ${one.target.slice(0, 60)} as ${who}`;
      t.equal(answer.status, expected[0], `${name} is ${expected[0]}`);
      if (expected[1] !== undefined) t.equal(errorOf(answer.body), expected[1], `${name} says why`);
      t.ok(one.ours || answer.status === native[0] || native[0] >= 400, `${name} is not more than recorded`);
      const served = expected[0] === 200 && one.method !== 'OPTIONS';
      if (served)
        t.strictSame(
          upstream.received.map((r) => r.target),
          [one.to ?? one.target],
          `${name} goes there`,
        );
      if (who !== 'main' && !served && !one.all && expected[0] !== 400)
        t.equal(upstream.received.length, 0, `${name} goes nowhere`);
    }
  }
});

function errorOf(bytes: string): string {
  const body = Buffer.from(bytes, 'latin1').toString('utf8');
  if (!body.startsWith('{')) return body;
  const parsed: { status: { error: string } } = JSON.parse(body);
  return parsed.status.error;
}

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import t from 'tap';
import { forge } from '../identity/forge.ts';
import { RECORDED, type RecordedAnswer, type RecordedCase, withKeys } from '../identity/recorded-cases.ts';
import { type CallClient, frameClient } from '../support/clients/raw-grpc.ts';
import { sendLines } from '../support/clients/raw-http.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';

/** The recorded edge cases of keys and tokens, sent byte for byte to the running gateway. */
const LANES = 8;
const { main, alt, read } = RECORDED.keys;
const POINTS = [1, 2, 3].map((n) => ({ id: n, vector: [n], payload: { city: 'Rome', n, flag: n === 1 } }));
const MANAGE_REFUSED = 'Forbidden: Global manage access is required';

function settingsOf(altKey: string | undefined, relay: boolean): Record<string, unknown> {
  const keys = { 'service.api_key': main, 'service.read_only_api_key': read, 'service.alt_api_key': altKey };
  return { ...keys, 'gateway.rest.relay': relay };
}

async function startRecorded(altKey: string | undefined, relay: boolean): Promise<TestGateway> {
  const gateway = await startGateway({ settings: settingsOf(altKey, relay) });
  const put = async (path: string, body: unknown, method = 'PUT'): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${gateway.upstream.restUrl}${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };
  for (const name of RECORDED.collections) {
    const path = `/collections/${encodeURIComponent(name)}`;
    await put(path, { vectors: { size: 1, distance: 'Dot' } });
    await put(`${path}/points?wait=true`, { points: POINTS });
  }
  const aliasOf = (alias_name: string, collection_name: string) => ({ create_alias: { alias_name, collection_name } });
  await put('/collections/aliases', { actions: [aliasOf('al_a', 'a'), aliasOf('al_s', 'secret')] }, 'POST');
  return gateway;
}

/** The header lines of a case, one character per byte. */
function linesOf(recorded: RecordedCase, now: number): string[] {
  const token = recorded.token && { ...recorded.token, secret: withKeys(recorded.token.secret ?? '{main}') };
  const text = token ? forge(token, now, main) : '';
  return (recorded.send ?? ['Authorization: Bearer {token}']).map((line) => withKeys(line).replace('{token}', text));
}

async function overRest(
  gateway: TestGateway,
  recorded: RecordedCase,
  lines: readonly string[],
): Promise<RecordedAnswer> {
  const shown = await sendLines(gateway, recorded.target ?? '/collections', lines);
  if (shown.status !== 200) return `${shown.status} ${shown.text}`.trimEnd();
  if (Array.isArray(recorded.answer)) return namesIn(shown.text);
  const managed = await sendLines(gateway, '/stacktrace', lines);
  return managed.status === 403 && managed.text.includes(MANAGE_REFUSED) ? 'grants read' : 'grants manage';
}

function namesIn(text: string): string[] {
  const { result } = JSON.parse(text) as { result: { collections: { name: string }[] } };
  return result.collections.map(({ name }) => name).sort();
}

async function overGrpc(client: CallClient, recorded: RecordedCase, lines: readonly string[]): Promise<RecordedAnswer> {
  const headers = lines.map((line): [string, string] => {
    const split = line.indexOf(': ');
    return [line.slice(0, split).toLowerCase(), line.slice(split + 2)];
  });
  const { code, message, body } = await client.call({ method: '/qdrant.Collections/List', headers, message: EMPTY });
  if (code !== 0) return `${code} ${message}`.trimEnd();
  const names = listedNames(body.subarray(5));
  return Array.isArray(recorded.answer) || names.length < RECORDED.collections.length ? names : 'grants everything';
}

const EMPTY = Buffer.alloc(0);

/** Names in a `ListCollectionsResponse`: `collections` (1), each with `name` (1). */
function listedNames(message: Buffer): string[] {
  const names: string[] = [];
  const outer = new BinaryReader(message);
  while (outer.pos < outer.len) {
    const [field, type] = outer.tag();
    if (field !== 1 || type !== WireType.LengthDelimited) {
      outer.skip(type);
      continue;
    }
    const inner = new BinaryReader(outer.bytes());
    while (inner.pos < inner.len) {
      const [number, wire] = inner.tag();
      if (number === 1) names.push(inner.string());
      else inner.skip(wire);
    }
  }
  return names.sort();
}

async function replay(t: Tap, altKey: string | undefined, cases: readonly RecordedCase[], relay = true): Promise<void> {
  const gateway = await startRecorded(altKey, relay);
  const client = frameClient(gateway);
  t.teardown(async () => {
    client.close();
    await gateway.close();
  });
  const deviations = new Deviations('credentials.json');
  const now = Math.floor(Date.now() / 1000);
  await eachOf(cases, LANES, async (recorded) => {
    const lines = linesOf(recorded, now);
    const expected = altKey === undefined ? (recorded.oneKey ?? recorded.answer) : recorded.answer;
    const over = recorded.over === 'rest' ? overRest(gateway, recorded, lines) : overGrpc(client, recorded, lines);
    const answer = await over;
    const verdict = {
      file: 'credentials.json',
      case: recorded.case,
      principal: '',
      grant: null,
      request: 0,
      recorded: '',
    };
    const same = JSON.stringify(answer) === JSON.stringify(expected);
    if (!same && typeof answer === 'string' && !answer.startsWith('grants') && deviations.covers(verdict, answer)) {
      t.pass(`${recorded.case} (listed deviation)`);
    } else t.strictSame(answer, expected, recorded.case);
  });
  if (altKey !== undefined) t.strictSame(deviations.stale(), [], 'every listed deviation is one');
  t.comment(`${cases.length} verdicts on credentials replayed through the running gateway`);
}

type Tap = Pick<typeof t, 'strictSame' | 'pass' | 'comment' | 'teardown'>;

t.test('with all three keys', (t) => replay(t, alt, RECORDED.cases));
t.test('with all three keys, REST by Fastify', (t) => replay(t, alt, RECORDED.cases, false));
t.test('without an alternative key', (t) =>
  replay(
    t,
    undefined,
    RECORDED.cases.filter(({ oneKey }) => oneKey !== undefined),
  ),
);

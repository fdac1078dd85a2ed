import t from 'tap';
import {
  http1Client,
  http2Client,
  type RawAnswer,
  type RawClient,
  type RawRequest,
} from '../support/clients/raw-http.ts';
import type { RestRecord } from '../support/fake-qdrant/recorder.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { byName, eachOf, loadCaseFile } from '../support/verdicts/cells.ts';
import { credentialOf, type Grant } from '../support/verdicts/principals.ts';
import { RefusalCodes } from '../support/verdicts/refusal-codes.ts';

/**
 * Every row of the access matrix with every principal, through the running gateway. Every request carries a mark, so
 * that what upstream received can be told apart while requests overlap.
 */
interface MatrixRow {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly target: string;
  readonly requires: string;
  readonly body: 'none' | 'json' | 'json-strict' | 'multipart';
  readonly filter?: string;
  readonly text?: true;
  readonly served: string;
  readonly refused: Readonly<Record<string, string>>;
}

interface MatrixFile {
  readonly principals: Readonly<Record<string, Grant>>;
  readonly refusals: Readonly<Record<string, string>>;
  readonly rows: readonly MatrixRow[];
}

interface Cell {
  readonly name: string;
  readonly mark: string;
  readonly row: MatrixRow;
  readonly principal: string;
  /** Code of a refusal; `undefined` = served. */
  readonly refusal: string | undefined;
}

const matrix = loadCaseFile<MatrixFile>('matrix-rest.json');
const PRINCIPALS = Object.keys(matrix.principals);
const LANES = 8;

const cells = matrix.rows.flatMap((row) => {
  const refused = new Map(Object.entries(row.refused).flatMap(([id, names]) => names.split(' ').map((n) => [n, id])));
  const served = new Set(byName({ served: row.served }).keys());
  return PRINCIPALS.map((principal): Cell => {
    const refusal = refused.get(principal);
    if (served.has(principal) === (refusal !== undefined)) throw new TypeError(`${row.operation}: ${principal}?`);
    const name = `${row.operation} (${row.method} ${row.path}) as ${principal} is ${refusal ? `refused: ${refusal}` : 'served'}`;
    return { name, mark: `${row.method} ${row.path} ${principal}`, row, principal, refusal };
  });
});

function requestOf({ row, principal, mark }: Cell, reversed: boolean): RawRequest {
  const headers: [string, string][] = [['x-mark', mark]];
  for (const [name, value] of credentialOf(principal, matrix.principals[principal] ?? null, reversed)) {
    headers.push([name, value]);
  }
  const { method, target } = row;
  if (row.body === 'none') return { method, target, headers };
  if (row.body !== 'multipart') {
    return { method, target, headers: [...headers, ['content-type', 'application/json']], body: '{}' };
  }
  return { method, target, headers: [...headers, ['content-type', 'multipart/form-data; boundary=b']], body: '--b--' };
}

/** Status, content type and text of a refusal, in full. */
function expectedAnswer({ row, refusal }: Cell): RawAnswer {
  const text = matrix.refusals[refusal ?? ''] ?? '';
  if (refusal === 'missing_credential' || refusal === 'bad_credential')
    return { status: 401, contentType: undefined, text };
  if (row.text) return { status: 403, contentType: 'text/plain; charset=utf-8', text };
  const envelope = `{"status":{"error":${JSON.stringify(text)}},"time":T}`;
  return { status: 403, contentType: 'application/json', text: envelope };
}

function withoutTime(answer: RawAnswer): RawAnswer {
  return { ...answer, text: answer.text.replace(/"time":[0-9.e-]+\}$/, '"time":T}') };
}

function markOf(record: RestRecord): string | undefined {
  const at = record.rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'x-mark');
  return at < 0 ? undefined : record.rawHeaders[at + 1];
}

/** What upstream has to have received of a served cell: the same request, once. */
function expectedRecord(cell: Cell): string {
  const { method, target, body = '' } = requestOf(cell, false);
  return `${method} ${filtered(cell) ? `${target} (filtered)` : target} ${body}`;
}

function recordOf(cell: Cell, { method, target, body }: RestRecord): string {
  // The gateway may ask for more than the client did where it filters the answer; the path stays.
  const told = filtered(cell) ? `${target.split('?')[0]} (filtered)` : target;
  return `${method} ${told} ${body}`;
}

function filtered({ row, principal }: Cell): boolean {
  const grant = matrix.principals[principal];
  return row.filter !== undefined && typeof grant === 'object' && grant !== null;
}

interface Replay {
  readonly gateway: TestGateway;
  readonly client: RawClient;
  readonly codes: RefusalCodes;
}

async function replayRefused(t: Tap, { gateway, client, codes }: Replay, reversed: boolean): Promise<void> {
  const { recorder } = gateway.upstream;
  const refused = cells.filter((cell) => cell.refusal !== undefined);
  recorder.clear();
  await eachOf(refused, LANES, async (cell) => {
    const answer = withoutTime(await client.send(requestOf(cell, reversed)));
    t.strictSame(answer, expectedAnswer(cell), cell.name);
  });
  const expected = Object.fromEntries(refused.map(({ mark, refusal }) => [mark, refusal]));
  t.strictSame(await codes.take(Object.keys(expected)), expected, 'each refusal has its code');
  t.strictSame(recorder.rest.map(markOf), [], 'no refused request has reached upstream');
  t.equal(recorder.bytes, 0, `upstream has received no byte of ${refused.length} refused requests`);
  t.equal(recorder.connections.rest, 0, 'no connection was opened for them');
}

async function replayServed(t: Tap, { gateway, client }: Replay, reversed: boolean): Promise<void> {
  const { recorder } = gateway.upstream;
  const served = cells.filter((cell) => cell.refusal === undefined);
  recorder.clear();
  await eachOf(served, LANES, async (cell) => {
    const { status } = await client.send(requestOf(cell, reversed));
    t.notOk(status === 401 || status === 403, `${cell.name}: not refused (${status})`);
  });
  const received = Map.groupBy(recorder.rest, markOf);
  for (const cell of served) {
    const records = (received.get(cell.mark) ?? []).map((record) => recordOf(cell, record));
    t.strictSame(records, [expectedRecord(cell)], `${cell.name}: upstream receives it once and unchanged`);
    received.delete(cell.mark);
  }
  // Questions of the gateway's own carry no mark: which collections there are, for telemetry.
  const own = new Set((received.get(undefined) ?? []).map(({ method, target }) => `${method} ${target}`));
  received.delete(undefined);
  t.strictSame([...received.keys()], [], 'nothing else has reached upstream');
  t.strictSame([...own], own.size > 0 ? ['GET /collections'] : [], 'the gateway asks upstream for names only');
}

type Tap = Pick<typeof t, 'strictSame' | 'equal' | 'notOk'>;

for (const [version, reversed] of [
  ['HTTP/1.1', false],
  ['HTTP/2', true],
] as const) {
  const how = reversed ? 'keys as Bearer, tokens as api-key' : 'keys as api-key, tokens as Bearer';
  t.test(`every row and principal over ${version}, ${how}`, async (t) => {
    const codes = new RefusalCodes();
    const gateway = await startGateway({ observers: [codes.observe] });
    const client = version === 'HTTP/2' ? http2Client(gateway) : http1Client(gateway, LANES);
    const replay = { gateway, client, codes };
    t.teardown(async () => {
      client.close();
      await gateway.close();
    });
    await t.test('a refused request gets the exact answer', (t) => replayRefused(t, replay, reversed));
    await t.test('a served request reaches upstream', (t) => replayServed(t, replay, reversed));
    t.comment(`${cells.length} verdicts of the matrix replayed over ${version}`);
  });
}

t.equal(cells.length, 109 * 12, 'the matrix is complete');

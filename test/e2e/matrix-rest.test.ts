import t from 'tap';
import type { RawAnswer } from '../support/clients/raw-http.ts';
import type { Recorder } from '../support/fake-qdrant/recorder.ts';
import { FILE_MS } from '../support/patience.ts';
import { type Heard, onEveryTransport, type Received, Witness } from '../support/transports/alike.ts';
import { fieldOf, type SentRequest } from '../support/transports/request.ts';
import { openTransports, UNCHANGED } from '../support/transports/transports.ts';
import { byName, loadCaseFile } from '../support/verdicts/cells.ts';
import { credentialOf, type Grant } from '../support/verdicts/principals.ts';

/** Every row of the access matrix with every principal, through the running gateway. */
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
  readonly row: MatrixRow;
  readonly principal: string;
  /** Code of a refusal; `undefined` = served. */
  readonly refusal: string | undefined;
}

const matrix = loadCaseFile<MatrixFile>('matrix-rest.json');
const PRINCIPALS = Object.keys(matrix.principals);
t.setTimeout(FILE_MS);

const cells = matrix.rows.flatMap((row) => {
  const refused = new Map(Object.entries(row.refused).flatMap(([id, names]) => names.split(' ').map((n) => [n, id])));
  const served = new Set(byName({ served: row.served }).keys());
  return PRINCIPALS.map((principal): Cell => {
    const refusal = refused.get(principal);
    if (served.has(principal) === (refusal !== undefined)) throw new TypeError(`${row.operation}: ${principal}?`);
    const name = `${row.operation} (${row.method} ${row.path}) as ${principal} is ${refusal ? `refused: ${refusal}` : 'served'}`;
    return { name, row, principal, refusal };
  });
});

function requestOf({ row, principal }: Cell, reversed: boolean): SentRequest {
  const { method, target } = row;
  const headers = credentialOf(principal, matrix.principals[principal] ?? null, reversed);
  if (row.body === 'none') return { method, target, headers };
  if (row.body !== 'multipart') {
    return { method, target, headers: [...headers, ['content-type', 'application/json']], body: Buffer.from('{}') };
  }
  const type = ['content-type', 'multipart/form-data; boundary=b'] as const;
  return { method, target, headers: [...headers, type], body: Buffer.from('--b--') };
}

/** Status, content type and text of a refusal, in full. */
function expectedAnswer({ row, refusal }: Cell): RawAnswer {
  const text = matrix.refusals[refusal ?? ''] ?? '';
  if (refusal === 'missing_credential' || refusal === 'bad_credential')
    return { status: 401, contentType: undefined, text };
  if (row.text) return { status: 403, contentType: 'text/plain; charset=utf-8', text };
  const envelope = `{"status":{"error":${JSON.stringify(text)}},"time":0}`;
  return { status: 403, contentType: 'application/json', text: envelope };
}

/** What upstream has to have received of a served cell: the same request, once. */
function expectedRecord(cell: Cell): string {
  const { method, target, body = Buffer.alloc(0) } = requestOf(cell, false);
  return `${method} ${filtered(cell) ? `${target} (filtered)` : target} ${body}`;
}

function recordOf(cell: Cell, { method, target, body }: Received): string {
  // The gateway may ask for more than the client did where it filters the answer; the path stays.
  const told = filtered(cell) ? `${target.split('?')[0]} (filtered)` : target;
  return `${method} ${told} ${body}`;
}

function filtered({ row, principal }: Cell): boolean {
  const grant = matrix.principals[principal];
  return row.filter !== undefined && typeof grant === 'object' && grant !== null;
}

type Tap = Pick<typeof t, 'strictSame' | 'equal' | 'notOk'>;
type Replay = (cells: readonly Cell[]) => Promise<readonly (readonly [cell: Cell, heard: Heard])[]>;

async function replayRefused(t: Tap, replay: Replay, recorder: Recorder): Promise<void> {
  const refused = cells.filter((cell) => cell.refusal !== undefined);
  for (const [cell, { first, differences }] of await replay(refused)) {
    const { status, body: text } = first.answer;
    t.strictSame({ status, contentType: fieldOf(first.answer, 'content-type'), text }, expectedAnswer(cell), cell.name);
    t.equal(first.counted?.code, cell.refusal, `${cell.name}: with its code`);
    if (differences.length > 0) t.strictSame(differences, [], `${cell.name}: the same on every transport`);
  }
  t.equal(recorder.rest.length, 0, 'no refused request has reached upstream');
  t.equal(recorder.bytes, 0, `upstream has received no byte of ${refused.length} refused requests`);
  // A gateway without requests to forward opens one every ten seconds, to see whether upstream is there.
  t.equal(recorder.connections.rest < 20, true, 'no connection was opened for them');
}

async function replayServed(t: Tap, replay: Replay, recorder: Recorder): Promise<void> {
  const served = cells.filter((cell) => cell.refusal === undefined);
  for (const [cell, { first, differences }] of await replay(served)) {
    const { status } = first.answer;
    t.notOk(status === 401 || status === 403, `${cell.name}: not refused (${status})`);
    const received = first.upstream.map((one) => recordOf(cell, one));
    t.strictSame(received, [expectedRecord(cell)], `${cell.name}: upstream receives it once and unchanged`);
    if (differences.length > 0) t.strictSame(differences, [], `${cell.name}: the same on every transport`);
  }
  // Questions of the gateway's own carry no mark: which collections there are, for telemetry; and upstream's release, for the
  // rows whose names become paths.
  const unmarked = recorder.rest.filter(({ rawHeaders }) => !rawHeaders.includes('x-mark'));
  const own = new Set(unmarked.map(({ method, target }) => `${method} ${target}`));
  const others = [...own].filter((one) => one !== 'GET /collections' && one !== 'GET /');
  t.strictSame(others, [], 'the gateway asks upstream for names and its release only');
}

for (const reversed of [false, true]) {
  const how = reversed ? 'keys as Bearer, tokens as api-key' : 'keys as api-key, tokens as Bearer';
  t.test(`every row and principal on every transport, ${how}`, async (t) => {
    const witness = new Witness();
    const transports = await openTransports({ observers: [witness.observe], upstream: UNCHANGED });
    t.teardown(() => transports.close());
    const replay: Replay = async (some) => {
      const heard = await onEveryTransport(
        transports,
        witness,
        some.map((cell) => requestOf(cell, reversed)),
      );
      return some.flatMap((cell, at) => (heard[at] ? [[cell, heard[at]] as const] : []));
    };
    const { recorder } = transports.upstream;
    await t.test('a refused request gets the exact answer', (t) => replayRefused(t, replay, recorder));
    await t.test('a served request reaches upstream', (t) => replayServed(t, replay, recorder));
    t.comment(`${cells.length} verdicts of the matrix replayed`);
  });
}

t.equal(cells.length, 110 * 12, 'the matrix is complete');

import t from 'tap';
import { type CallClient, frameClient, libraryClient, type RawCall } from '../support/clients/raw-grpc.ts';
import type { GrpcRecord } from '../support/fake-qdrant/recorder.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { byName, eachOf, loadCaseFile } from '../support/verdicts/cells.ts';
import { credentialOf, type Grant } from '../support/verdicts/principals.ts';
import { RefusalCodes } from '../support/verdicts/refusal-codes.ts';

/**
 * Every row of the access matrix with every principal, through the running gateway. Every call carries a mark, so that
 * what upstream received can be told apart while calls overlap.
 */
interface MatrixRow {
  readonly method: string;
  readonly field?: number;
  readonly filter?: string;
  readonly requires: string;
  readonly streams?: true;
  readonly served: string;
  readonly refused: Readonly<Record<string, string>>;
}

interface MatrixFile {
  readonly principals: Readonly<Record<string, Grant>>;
  readonly refusals: Readonly<Record<string, string>>;
  readonly internal: readonly string[];
  readonly rows: readonly MatrixRow[];
}

interface Cell {
  readonly name: string;
  readonly mark: string;
  readonly row: MatrixRow;
  readonly principal: string;
  /** gRPC code and text of the refusal; `undefined` = served. */
  readonly refusal: { readonly code: number; readonly message: string } | undefined;
  /** Denial code. */
  readonly denial: string | undefined;
}

const LANES = 16;
const matrix = loadCaseFile<MatrixFile>('matrix-grpc.json');
const UNAUTHENTICATED = new Set(['missing_credential', 'bad_credential']);
/** The one collection all messages name, in field 1. */
const DOCS = Buffer.from('\x0a\x04docs');

const cells = matrix.rows.flatMap((row) => Object.keys(matrix.principals).map((principal) => cellOf(row, principal)));

function cellOf(row: MatrixRow, principal: string): Cell {
  const refused = Object.entries(row.refused).find(([, names]) => names.split(' ').includes(principal))?.[0];
  const served = byName({ served: row.served }).has(principal);
  if (served === (refused !== undefined)) throw new TypeError(`${row.method}: ${principal} is neither or both`);
  const message = matrix.refusals[refused ?? ''] ?? '';
  const refusal = served ? undefined : { code: UNAUTHENTICATED.has(refused ?? '') ? 16 : 7, message };
  const name = `${row.method} as ${principal} is ${refused ? `refused: ${refused}` : 'served'}`;
  return { name, mark: `${row.method} ${principal}`, row, principal, refusal, denial: refused };
}

function callOf({ row, principal, mark }: Cell, reversed: boolean): RawCall {
  const credential = credentialOf(principal, matrix.principals[principal] ?? null, reversed);
  const headers = [['x-mark', mark] as const, ...credential];
  return { method: row.method, headers, message: row.field === 1 ? DOCS : Buffer.alloc(0), streams: row.streams };
}

function markOf({ metadata }: GrpcRecord): string | undefined {
  const at = metadata.findIndex((name, i) => i % 2 === 0 && name === 'x-mark');
  return at < 0 ? undefined : metadata[at + 1];
}

/** The gateway asks upstream itself: nothing of the client's call goes there. */
function askedByGateway({ row, principal }: Cell): boolean {
  const grant = matrix.principals[principal];
  return row.requires === 'public' || (row.filter !== undefined && typeof grant === 'object' && grant !== null);
}

function recordOf({ path, messages }: GrpcRecord): string {
  return `${path} ${Buffer.concat(messages).toString('hex')}`;
}

async function replayRefused(t: Tap, client: CallClient, codes: RefusalCodes, reversed: boolean): Promise<void> {
  const refused = cells.filter((cell) => cell.refusal);
  await eachOf(refused, LANES, async (cell) => {
    const { code, message, trailersOnly, contentType, body } = await client.call(callOf(cell, reversed));
    t.strictSame({ code, message }, cell.refusal, cell.name);
    if (trailersOnly === undefined) return;
    t.strictSame(
      [trailersOnly, contentType, body.length],
      [true, 'application/grpc', 0],
      `${cell.name}: trailers only`,
    );
  });
  const expected = Object.fromEntries(refused.map(({ mark, denial }) => [mark, denial]));
  t.strictSame(await codes.take(Object.keys(expected)), expected, 'each refusal has its code');
}

async function replayServed(t: Tap, gateway: TestGateway, client: CallClient, reversed: boolean): Promise<void> {
  const { recorder } = gateway.upstream;
  const relayed = cells.filter((cell) => !cell.refusal && !askedByGateway(cell));
  recorder.clear();
  await eachOf(relayed, LANES, async (cell) => {
    const { code } = await client.call(callOf(cell, reversed));
    t.notOk(code === 7 || code === 16, `${cell.name}: not refused (${code})`);
  });
  const received = Map.groupBy(recorder.grpc, markOf);
  for (const cell of relayed) {
    const { method, message } = callOf(cell, reversed);
    const expected = `${method} ${message.toString('hex')}`;
    t.strictSame((received.get(cell.mark) ?? []).map(recordOf), [expected], `${cell.name}: upstream receives it once`);
    received.delete(cell.mark);
  }
  t.strictSame([...received.keys()], [], 'nothing else has reached upstream');
}

/** One at a time: equal questions of the gateway's own share one call while it is under way. */
async function replayAsked(t: Tap, gateway: TestGateway, client: CallClient, reversed: boolean): Promise<void> {
  const { recorder } = gateway.upstream;
  for (const cell of cells.filter((candidate) => !candidate.refusal && askedByGateway(candidate))) {
    recorder.clear();
    const call = callOf(cell, reversed);
    const { code } = await client.call(call);
    t.notOk(code === 7 || code === 16, `${cell.name}: not refused (${code})`);
    const expected = `${call.method} ${call.message.toString('hex')} of the gateway's own`;
    const asked = recorder.grpc.map((record) => `${recordOf(record)} ${markOf(record) ?? "of the gateway's own"}`);
    t.strictSame(asked, [expected], `${cell.name}: asked once by the gateway`);
  }
}

/** Methods of the internal port: as unknown as any other, for any caller. */
async function replayInternal(t: Tap, client: CallClient, codes: RefusalCodes): Promise<void> {
  const calls = matrix.internal.flatMap((method) =>
    ['none', 'admin', 'list-rw'].map((principal) =>
      cellOf({ method, requires: '', served: principal, refused: {} }, principal),
    ),
  );
  await eachOf(calls, LANES, async (cell) => {
    const { code, message } = await client.call(callOf(cell, false));
    const missing = { code: 16, message: matrix.refusals.missing_credential ?? '' };
    const expected = cell.principal === 'none' ? missing : { code: 12, message: '' };
    t.strictSame({ code, message }, expected, `${cell.mark} is unknown`);
  });
  const codeOf = ({ principal }: Cell): string => (principal === 'none' ? 'missing_credential' : 'unknown_operation');
  const expected = Object.fromEntries(calls.map((cell) => [cell.mark, codeOf(cell)]));
  t.strictSame(await codes.take(Object.keys(expected)), expected, 'each refusal has its code');
}

type Tap = Pick<typeof t, 'strictSame' | 'equal' | 'notOk'>;

async function untouched(t: Tap, gateway: TestGateway, what: string): Promise<void> {
  const { recorder } = gateway.upstream;
  t.strictSame(recorder.grpc.map(recordOf), [], `${what}: no call has reached upstream`);
  t.equal(recorder.bytes, 0, `${what}: upstream has received no byte`);
  t.equal(recorder.connections.grpc, 0, `${what}: no connection was opened`);
}

const CLIENTS = [
  { by: 'frames', open: frameClient, reversed: false, how: 'keys as api-key, tokens as Bearer' },
  { by: 'the gRPC library', open: libraryClient, reversed: true, how: 'keys as Bearer, tokens as api-key' },
];

for (const { by, open, reversed, how } of CLIENTS) {
  t.test(`every row and principal by ${by}, ${how}`, async (t) => {
    const codes = new RefusalCodes();
    const gateway = await startGateway({ observers: [codes.observe] });
    const client = open(gateway);
    t.teardown(async () => {
      client.close();
      await gateway.close();
    });
    const { recorder } = gateway.upstream;
    await t.test('a refused call gets the exact answer, before anything was ever permitted', async (t) => {
      await replayRefused(t, client, codes, reversed);
      await untouched(t, gateway, 'refused');
    });
    await t.test('a method of the internal port is unknown', async (t) => {
      await replayInternal(t, client, codes);
      await untouched(t, gateway, 'internal');
    });
    await t.test('a served call reaches upstream', (t) => replayServed(t, gateway, client, reversed));
    await t.test('an open or filtered call is asked anew', (t) => replayAsked(t, gateway, client, reversed));
    await t.test('a refused call gets the same answer on a connection that is in use', async (t) => {
      recorder.clear();
      await replayRefused(t, client, codes, reversed);
      t.strictSame(recorder.grpc.map(recordOf), [], 'no call has reached upstream');
    });
    t.comment(`${cells.length} verdicts of the matrix replayed by ${by}`);
  });
}

t.equal(cells.length, 62 * 12, 'the matrix is complete');

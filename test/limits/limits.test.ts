import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { recordingUpstream, startGateway } from '../rest/lane-fixture.ts';
import { until } from '../support/until.ts';
import { CHECKS, openGateways } from './rest.ts';
import { type Cell, LANES, type Lane, ROWS } from './table.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Every cell shows that its rule holds, or says why there is nothing to show. */
const gateways = await openGateways();
t.teardown(() => gateways.close());

t.test('every limit of the configuration is a row', async (t) => {
  const schema = JSON.parse(readFileSync(`${ROOT}config/gateway.schema.json`, 'utf8'));
  const options = Object.keys(schema.properties.gateway.properties.limits.properties);
  const rows = new Set(ROWS.flatMap((row) => row.options));
  t.strictSame(
    options.filter((option) => !rows.has(option)),
    [],
    'an option without a row',
  );
  t.strictSame(
    [...rows].filter((option) => !options.includes(option)),
    [],
    'a row of an option that is gone',
  );
});

t.test('every cell has something that shows it', async (t) => {
  const texts = new Map<string, string>();
  const textOf = (file: string): string => {
    if (!texts.has(file)) texts.set(file, existsSync(`${ROOT}${file}`) ? readFileSync(`${ROOT}${file}`, 'utf8') : '');
    return texts.get(file) ?? '';
  };
  const isShown = (cell: Cell | undefined): boolean => {
    if (!cell) return false;
    if ('none' in cell) return cell.none.length > 20 || cell.none.startsWith('the lane ');
    if ('check' in cell) return cell.check in CHECKS;
    const text = textOf(cell.file);
    return text !== '' && text.includes(cell.test);
  };
  const missing = ROWS.flatMap(({ rule, cells }) =>
    LANES.filter((lane) => !isShown(cells[lane])).map((lane) => `${rule} in ${lane}`),
  );
  t.strictSame(missing, []);
});

const cells = ROWS.flatMap(({ rule, cells: row }) =>
  LANES.flatMap((lane) => {
    const cell = row[lane];
    return 'check' in cell ? [{ rule, lane, check: cell.check }] : [];
  }),
);

t.test('the limits that are checked here hold in their lanes', async (t) => {
  const seen = await Promise.all(
    cells.map(async ({ rule, lane, check }: { rule: string; lane: Lane; check: string }) => ({
      name: `${rule} (${lane})`,
      came: await gateways.check(check, lane),
    })),
  );
  for (const { name, came } of seen) t.equal(came, 'ok', name);
});

t.test('connections over the limit are not taken, and are again when others have gone', async (t) => {
  const upstream = await recordingUpstream();
  const gateway = await startGateway(upstream.port, { limits: { max_connections: 3 } });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const open = (): Socket => connect(gateway.port, '127.0.0.1').on('error', () => undefined);
  const sockets = Array.from({ length: 5 }, open);
  await until(() => sockets.filter(({ closed }) => closed).length === 2, 'two are not taken');
  for (const socket of sockets) socket.destroy();
  const ask = async (): Promise<string> => {
    const socket = open();
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await until(() => socket.closed, 'it is over');
    return text;
  };
  let served = '';
  await until(
    () => {
      if (served === '') void ask().then((text) => (served = text));
      return served.startsWith('HTTP/1.1 200');
    },
    'another is served',
    10_000,
  );
  t.match(served, /^HTTP\/1\.1 200/);
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type ServiceProcess, serviceManagerOf } from '../../src/cli/service-manager.ts';
import type { ServiceVariables } from '../../src/config/environment.ts';
import { serviceVariables } from '../../src/config/load.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { findProgram, runProgram } from '../support/process/programs.ts';
import { until } from '../support/until.ts';

const PID = 41;

function stage(variables: Partial<ServiceVariables>, fault: Error | null = null) {
  const sent: string[] = [];
  const said: string[] = [];
  const timers: { readonly ms: number; readonly work: () => void }[] = [];
  let finish = (): void => {};
  const process: ServiceProcess = {
    pid: PID,
    send: (assignments, done) => {
      sent.push(assignments.join(' '));
      finish = () => done(fault);
    },
    every: (ms, work) => void timers.push({ ms, work }),
  };
  const all = { socket: '/run/notify', watchdogUsec: undefined, watchdogPid: undefined, ...variables };
  const manager = serviceManagerOf(all, { out: () => {}, err: (text) => said.push(text) }, process);
  return { manager, sent, said, timers, finish: () => finish() };
}

t.test('without a service manager nothing is sent', async (t) => {
  const { manager, sent, timers } = stage({ socket: undefined, watchdogUsec: '1000000' });
  manager.ready('listens');
  manager.stopping();
  t.strictSame([sent, timers], [[], []]);
});

t.test('it is told of the start, and once of the end', async (t) => {
  const { manager, sent } = stage({});
  manager.ready('listens');
  manager.stopping();
  manager.stopping();
  t.strictSame(sent, ['READY=1 STATUS=listens', 'STOPPING=1']);
});

t.test('signs of life are sent three times in the time that is asked for, never two at once', async (t) => {
  const { manager, sent, timers, finish } = stage({ watchdogUsec: '30000000', watchdogPid: String(PID) });
  manager.ready('listens');
  t.equal(timers[0]?.ms, 10_000);
  timers[0]?.work();
  t.equal(sent.length, 1, 'the first message is still on its way');
  finish();
  timers[0]?.work();
  timers[0]?.work();
  t.strictSame(sent.slice(1), ['WATCHDOG=1']);
});

const WITHOUT_SIGNS: [name: string, variables: Partial<ServiceVariables>][] = [
  ['no WATCHDOG_USEC', {}],
  ['WATCHDOG_USEC of another process', { watchdogUsec: '30000000', watchdogPid: '7' }],
  ['WATCHDOG_USEC of 0', { watchdogUsec: '0' }],
  ['a WATCHDOG_USEC that is no number', { watchdogUsec: 'soon' }],
];

t.test('no signs of life are sent without a reader', async (t) => {
  for (const [name, variables] of WITHOUT_SIGNS) {
    const { manager, timers } = stage(variables);
    manager.ready('listens');
    t.strictSame(timers, [], name);
  }
});

t.test('a message that cannot be sent is one line, and the gateway goes on', async (t) => {
  const { manager, said, finish } = stage({}, new Error('spawn systemd-notify ENOENT\nmore'));
  manager.ready('listens');
  finish();
  manager.stopping();
  finish();
  t.strictSame(said, ['warning: the service manager was not told READY=1: spawn systemd-notify ENOENT\n']);
});

t.test('an empty variable counts as unset', async (t) => {
  const none = { socket: undefined, watchdogUsec: undefined, watchdogPid: undefined };
  t.strictSame(serviceVariables({ NOTIFY_SOCKET: '', WATCHDOG_USEC: '', WATCHDOG_PID: '' }), none);
});

const RECEIVER = `
import socket, sys
one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
one.bind(sys.argv[1])
print('bound', flush=True)
while True:
    message, parts, _, _ = one.recvmsg(4096, 4096)
    # A barrier comes as a descriptor, which is closed to answer it.
    if message.startswith(b'BARRIER=1'):
        import array, os
        for _, _, data in parts:
            for fd in array.array('i', data[:len(data) // 4 * 4]):
                os.close(fd)
        continue
    print(message.decode().replace('\\n', ' '), flush=True)
`;

function startReceiver(socket: string): { readonly child: ChildProcess; readonly lines: () => readonly string[] } {
  const child = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, lines: () => text.split('\n').slice(0, -1) };
}

const missing = ['python3', 'systemd-notify'].filter((name) => findProgram(name) === undefined);
const skip = missing.length > 0 ? `not here: ${missing.join(', ')}` : false;

t.test('serve tells its start, signs of life and its end over a real socket', { skip }, async (t) => {
  // The folder of a test has too long a path for a socket.
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-notify-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const socket = join(folder, 'notify');
  const receiver = startReceiver(socket);
  await until(() => receiver.lines().includes('bound'), 'the receiver listens');
  const fake = await startFakeQdrant();
  const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '300000' };
  const gateway = await startGatewayProcess(fake, env);
  await until(() => receiver.lines().includes('WATCHDOG=1'), 'a sign of life');
  const gone = once(gateway.child, 'exit');
  gateway.child.kill('SIGTERM');
  t.strictSame(await gone, [0, null]);
  await until(() => receiver.lines().includes('STOPPING=1'), 'the end is told');
  t.match(receiver.lines()[1], /^READY=1 STATUS=rest listens on https:\/\/127\.0\.0\.1:\d+$/);
  t.equal(receiver.lines().filter((line) => line.startsWith('READY=1')).length, 1);
  receiver.child.kill();
  await gateway.close();
  await fake.close();
});

/** What the unit says, by name; a name may be there several times. */
function settingsOf(unit: string): ReadonlyMap<string, readonly string[]> {
  const settings = new Map<string, string[]>();
  for (const line of unit.split('\n')) {
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) settings.set(name, [...(settings.get(name) ?? []), value]);
  }
  return settings;
}

const UNIT = join(import.meta.dirname, '../../docker/systemd/qdrant-gateway.service');

t.test('the unit waits for what the program tells, and ends workers with the main process', async (t) => {
  const settings = settingsOf(readFileSync(UNIT, 'utf8'));
  const expected: [name: string, value: string][] = [
    ['Type', 'notify'],
    ['NotifyAccess', 'all'],
    ['KillMode', 'mixed'],
    ['DynamicUser', 'yes'],
    ['ProtectSystem', 'strict'],
    ['NoNewPrivileges', 'yes'],
    ['CapabilityBoundingSet', ''],
  ];
  for (const [name, value] of expected) t.strictSame(settings.get(name), [value], name);
  t.notOk(settings.has('MemoryDenyWriteExecute'), 'V8 compiles at run time');
});

const analyze = findProgram('systemd-analyze');
const unknown = { skip: analyze ? false : 'not here: systemd-analyze' };

t.test('systemd finds the unit well closed', unknown, async (t) => {
  const args = ['security', '--offline=true', '--no-pager', '--threshold=20', UNIT];
  const { code, out } = await runProgram(analyze ?? '', args);
  t.equal(code, 0, `exposure of at most 2.0: ${out.trim().split('\n').at(-1)}`);
});

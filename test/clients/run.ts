import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import { KEYS } from '../support/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import { freePort } from '../support/process/redis.ts';
import type { QdrantPlace } from '../support/real-qdrant.ts';
import { makeToken, nowSeconds } from '../support/tokens.ts';
import type { Client } from './clients.ts';
import { STEPS, STRANGER, type Step, TENANT } from './steps.ts';
import { askUpstream, foreignPoint, makeShared, type TenantFiles } from './tenant.ts';

/** One line of a program. */
interface Line {
  readonly step: string;
  readonly result?: unknown;
  readonly code?: number | string | null;
  readonly text?: string | null;
  readonly shown?: string;
}

/** What came of a client: what each step shows that is not permitted, and every difference from the table. */
export interface Outcome {
  readonly shown: Readonly<Record<string, string>>;
  readonly wrong: readonly string[];
}

const EXPIRED_SECONDS = 3600;
/** A program that does not end is ended: it waits for something that does not come. */
const PROGRAM_LIMIT_MS = 180_000;

/**
 * Runs the tutorial with a client before an unsecured Qdrant, once without the CA, which both gateways' certificates are of, and what a
 * tenant does, where the program has it.
 */
export async function runClient(
  client: Client,
  command: readonly string[],
  upstream: QdrantPlace,
  caFile: string,
  tenant: TenantFiles,
): Promise<Outcome> {
  await askUpstream(upstream, 'DELETE', '/collections/books');
  const ports = [await freePort(), await freePort()] as const;
  const start = () =>
    startGatewayProcess(upstream, {
      QDRANT__SERVICE__HTTP_PORT: String(ports[0]),
      QDRANT__SERVICE__GRPC_PORT: String(ports[1]),
      QDRANT_GATEWAY__POLICY_FILE: tenant.policy,
      QDRANT_GATEWAY__KEYS_FILE: tenant.keys,
    });
  let gateway = await start();
  const env = { ...environment(ports), TENANT: tenant.key };
  try {
    const stranger = await finished(spawnProgram(command, 'stranger', env));
    const trusting = { ...env, [client.caVariable ?? 'CA']: caFile };
    const bound = client.tenant ? await asTenant(client, command, trusting, upstream) : [];
    const child = spawnProgram(command, 'steps', trusting);
    const lines = await finished(child, async (step) => {
      if (step === 'stop') await stopped(gateway);
      if (step === 'start') gateway = await start();
      child.stdin?.[step === 'start' ? 'end' : 'write']('\n');
    });
    return {
      wrong: [...compare(client, STRANGER, stranger.lines), ...compare(client, STEPS, lines.lines)].concat(
        bound,
        [stranger, lines].flatMap(({ failure }) => failure ?? []),
      ),
      shown: Object.fromEntries(
        [...stranger.lines, ...lines.lines].flatMap(({ step, shown }) =>
          shown === undefined ? [] : [[step, plain(shown, ports)]],
        ),
      ),
    };
  } finally {
    await gateway.close();
  }
}

/** What a program does as a tenant that it must not do. */
async function asTenant(
  client: Client,
  command: readonly string[],
  env: Record<string, string>,
  upstream: QdrantPlace,
): Promise<string[]> {
  await makeShared(upstream);
  const before = await foreignPoint(upstream);
  const { lines, failure } = await finished(spawnProgram(command, 'tenant', env));
  const after = await foreignPoint(upstream);
  const changed = isDeepStrictEqual(before, after) ? [] : ['the point of another tenant has changed'];
  return [...compare(client, TENANT, lines), ...changed, ...(failure === undefined ? [] : [failure])];
}

async function stopped(gateway: GatewayProcess): Promise<void> {
  gateway.child.kill('SIGTERM');
  await gateway.close();
}

function environment([rest, grpc]: readonly [number, number]): Record<string, string> {
  const access = [{ collection: 'books', access: 'rw' }];
  const { PATH = '', HOME = '' } = process.env;
  return {
    ...{ PATH, HOME, REST_PORT: String(rest), GRPC_PORT: String(grpc) },
    ADMIN: KEYS.admin,
    READER: KEYS.readOnly,
    TOKEN: makeToken({ access, exp: nowSeconds() + EXPIRED_SECONDS }),
    EXPIRED: makeToken({ access, exp: nowSeconds() - EXPIRED_SECONDS }),
  };
}

function spawnProgram(
  [program = '', ...args]: readonly string[],
  mode: string,
  env: Record<string, string>,
): ChildProcess {
  return spawn(program, [...args, mode], { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: PROGRAM_LIMIT_MS });
}

/** The lines of a program that has ended. A line without an outcome is a demand, which `demanded` fulfils. */
async function finished(
  child: ChildProcess,
  demanded: (step: string) => Promise<void> = async () => {},
): Promise<{ readonly lines: readonly Line[]; readonly failure?: string }> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new TypeError('a program is started with pipes');
  const said = text(stderr);
  const gone = once(child, 'close');
  const lines: Line[] = [];
  for await (const written of createInterface({ input: stdout })) {
    const line: Line = JSON.parse(written);
    if ('result' in line || 'shown' in line) lines.push(line);
    else await demanded(line.step);
  }
  const [code] = await gone;
  return code === 0 ? { lines } : { lines, failure: `the program ended with ${code}: ${(await said).slice(-2000)}` };
}

/** Every step whose outcome is not the one of the table. */
function compare(client: Client, expected: readonly Step[], lines: readonly Line[]): string[] {
  const missing = expected.length === lines.length ? [] : [`${lines.length} steps were run, of ${expected.length}`];
  return expected
    .flatMap((step, at) => {
      const line = lines[at];
      if (line === undefined) return [`${step.step}: was not run`];
      return isRight(client, step, line) ? [] : [`${step.step}: ${JSON.stringify(line)}`];
    })
    .concat(missing);
}

function isRight({ transport }: Client, step: Step, line: Line): boolean {
  if (line.step !== step.step) return false;
  if ('result' in step) return isDeepStrictEqual(line.result, step.result);
  if (line.shown === undefined || line.shown === '') return false;
  if ('failed' in step) return line.code === null && line.text === null;
  const [code, said] = transport === 'REST' ? [step.rest, step.text] : [step.grpc, step.grpcText ?? step.text];
  return line.code === code && line.text === said;
}

/** What is shown, in one line and without what differs between two runs: ports, times, ids. */
function plain(shown: string, [rest, grpc]: readonly [number, number]): string {
  return shown
    .replaceAll(String(rest), '6333')
    .replaceAll(String(grpc), '6334')
    .replace(/\s*debug_error_string = .*/g, '')
    .replace(/"(date|x-request-id)": "[^"]*"/g, '"$1": "..."')
    .replace(/\b\d+ ms\b/g, '... ms')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
}

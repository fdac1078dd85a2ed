import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { mintToken } from '../../src/identity/token.ts';
import type { Target } from './load/clients.ts';
import { COLLECTION } from './load/messages.ts';
import type { Measured } from './load/window.ts';
import type { Scene } from './peers/configs.ts';
import type { Gateway } from './peers/gateways.ts';
import { freePort, type Running, startProgram, stopProgram, untilListening } from './processes.ts';

export type Protocol = 'rest' | 'grpc';

/** The key that every gateway accepts. */
export const API_KEY = 'bench-admin-key-0123456789abcdef';

/** A gateway that runs. */
export type Started = Measured & {
  target(protocol: Protocol, credential: string): Target;
  stop(): Promise<void>;
};

/** What all gateways share: certificates, an upstream, a folder, credentials. */
export interface Stage {
  readonly ca: Buffer;
  /** A token that may read and write the one collection. */
  readonly collectionToken: string;
  /** Starts a gateway of its own. */
  start(gateway: Gateway): Promise<Started>;
  /** The gateway of that name, started when first asked for. */
  shared(gateway: Gateway): Promise<Started>;
}

/** Makes the stage in an empty folder. Gateways go to `core`, everything else stays on the core of this process. */
export async function prepareStage(folder: string, core: number | null): Promise<Stage> {
  const { ca: caFile, cert, key } = await makeDevCerts(folder);
  const ca = readFileSync(caFile);
  const bundle = join(folder, 'bundle.pem');
  writeFileSync(bundle, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o600 });
  const [upstreamRest, upstreamGrpc] = [await freePort(), await freePort()];
  const script = join(import.meta.dirname, 'load', 'upstream.ts');
  const upstream = startProgram([process.execPath, script, `${upstreamRest}`, `${upstreamGrpc}`], {}, null);
  await untilListening(upstream, [upstreamRest, upstreamGrpc]);
  const common = { upstreamRest, upstreamGrpc, cert, key, bundle, apiKey: API_KEY };
  const sharedOnes = new Map<string, Promise<Started>>();
  let count = 0;

  const start = async (gateway: Gateway): Promise<Started> => {
    const ports = { rest: await freePort(), grpc: await freePort() };
    const own = join(folder, `gateway-${++count}`);
    mkdirSync(own);
    const scene: Scene = { ...common, folder: own, restPort: ports.rest, grpcPort: ports.grpc };
    const { command, env } = gateway.launch(scene);
    const program: Running = startProgram(command, env, core);
    await untilListening(program, gateway.grpc ? [ports.rest, ports.grpc] : [ports.rest]);
    return {
      pid: program.pid,
      core,
      target: (protocol, credential) => ({ port: ports[protocol], ca, credential }),
      stop: () => stopProgram(program),
    };
  };

  return {
    ca,
    collectionToken: await mintToken({ access: [{ collection: COLLECTION, access: 'rw' }] }, API_KEY),
    start,
    shared: (gateway) => {
      const known = sharedOnes.get(gateway.name) ?? start(gateway);
      sharedOnes.set(gateway.name, known);
      return known;
    },
  };
}

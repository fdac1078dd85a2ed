import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openTls } from '../clients/sockets.ts';
import { head } from '../invariants.ts';
import { inBackground } from '../process/background.ts';
import type { GatewayProcess } from '../process/gateway-process.ts';

/** Wrong keys over some sockets, from a process of its own bound to one core. Resolves with how many were refused. */
export async function guesses(
  gateway: Pick<GatewayProcess, 'rest' | 'caFile'>,
  { sockets, each }: { readonly sockets: number; readonly each: number },
  core: number,
): Promise<number> {
  const order = [gateway.rest.port, gateway.caFile, sockets, each].map(String);
  const self = fileURLToPath(import.meta.url);
  const [command = '', ...args] = [...inBackground(core), process.execPath, self, ...order];
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  await once(child, 'close');
  return Number(out);
}

const [, script, port, caFile, sockets, each] = process.argv;
if (script === fileURLToPath(import.meta.url) && caFile !== undefined) {
  const ca = readFileSync(caFile);
  const guess = async (): Promise<number> => {
    const socket = await openTls(Number(port), { ca, ALPNProtocols: ['http/1.1'] });
    let refused = 0;
    for (let sent = 0; sent < Number(each); sent += 1) {
      socket.write(`${head('GET', '/collections/x', `guess-${sent}`)}\r\n`);
      const [chunk] = await once(socket, 'data');
      if (String(chunk).slice(9, 12) === '401') refused += 1;
    }
    socket.destroy();
    return refused;
  };
  const all = await Promise.all(Array.from({ length: Number(sockets) }, guess));
  process.stdout.write(String(all.reduce((sum, one) => sum + one, 0)));
  process.exit(0);
}

import { join } from 'node:path';

/*
 * The long runs, which are not part of `npm test`:
 *
 *   npm run soak                   the list
 *   npm run soak -- NAME [ARGS]    one of them; what it takes stands at its top
 */

/** What each run shows, and how long it takes where nothing else is said. */
const RUNS: Readonly<Record<string, string>> = {
  'bad-link': 'a link with delay, resets and 10 KB/s between client and gateway',
  certificates: '100 certificate changes under 500 requests a second; 2 minutes',
  connections: 'clients that leave, slow sockets, 15 000 idle TLS connections',
  distance: 'bodies over a link of 50 ms, against nginx; [MiB]; 5 minutes',
  engine: "the stand-in beside Qdrant's own engine, random operations; [sequences [first seed]]; 2 minutes",
  floods: 'calls that are reset at once, with reconnects; wrong keys',
  'head-fuzz': 'mutated requests to every lane; [requests [seed]]',
  limited: 'the wait of a caller beside one over its limit; [seconds]; half a minute',
  mixed: 'both protocols with faults and restarts of upstream; [--seconds 600] [--faults 5]',
  nodes: 'three nodes killed, stopped and slowed in turn under gRPC load; [seconds of a step]; 2 minutes',
  operating: 'every operation under load, with one worker and with two; 2 minutes',
  reload: 'reloads under load; SOAK_SECONDS, 180 when unset',
  'rest-nodes': 'the same under REST load, over HTTP/1.1 and HTTP/2; [seconds of a step]; 6 minutes',
  resolve: 'a million requests through resolvers and body readers; [requests [seed]]',
  revocation: 'the cost of 10 000 revocations',
  'stopped-upstream': 'an upstream that accepts and never answers',
  tenants: 'two tenants on one collection beside collections of their own; [sequences [first seed]]; an hour',
  timing: 'whether the comparison of keys takes a time that tells them apart; [samples]; 10 seconds',
  'strict-clients': 'strict HTTP clients and bodies of 0 to 60 MB; [part of a name]; 10 minutes',
  'tls-scan': 'testssl on both ports; [path of testssl.sh]; 1 to 4 minutes',
  transfers: 'snapshots of 2 GiB up and down',
};

const [, , name] = process.argv;
if (name === undefined || !Object.hasOwn(RUNS, name)) {
  const lines = Object.entries(RUNS).map(([one, about]) => `  ${one.padEnd(18)}${about}`);
  const text = `usage: npm run soak -- NAME [ARGS]\n\n${lines.join('\n')}\n`;
  if (name === undefined) process.stdout.write(text);
  else process.stderr.write(`there is no run \`${name}\`\n\n${text}`);
  process.exitCode = name === undefined ? 0 : 2;
} else {
  const file = join(import.meta.dirname, `${name}.soak.ts`);
  process.argv.splice(1, 2, file);
  await import(file);
}

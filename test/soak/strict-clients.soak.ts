import { CASES, earlyUpstream } from '../fuzz/early-answers.ts';
import { missing, STRICT_CLIENTS, type StrictClient, StrictClients } from '../fuzz/strict-clients.ts';
import { startGateway, testCertificate } from '../rest/lane-fixture.ts';

/*
 * Strict clients through refusals and permits, with bodies of 0 bytes to 60 MB: each has to see the answer that is due, its
 * status and its text, whether or not it comes before the body.
 *
 *   npm run soak -- strict-clients [part of a client's name]
 *
 * What went otherwise is listed at the end, and ends the run with 1.
 */

const KB = 1024;
const MB = 1024 * KB;
const SIZES = [0, 1, 64 * KB, MB, 16 * MB, 60 * MB];
const SECONDS = 180;
/**
 * httpx copies all that is left of a body for each frame of HTTP/2: 60 MB in one piece take it minutes, and what is left of a
 * refused upload is read for two minutes.
 */
const TOO_SLOW = { client: 'httpx 2', size: 60 * MB };
const INSPECTED = MB;

const only = process.argv[2] ?? '';
const upstream = await earlyUpstream();
const tls = await startGateway(upstream.port, {
  tls: await testCertificate(),
  limits: { inspected_body_bytes: INSPECTED },
});
const clients = new StrictClients(SECONDS);
const wrong: string[] = [];

/** The sizes that a case is about. */
function sizesOf(what: string): readonly number[] {
  const [least, most] = CASES[what]?.sizes ?? [0, 60 * MB];
  return SIZES.filter((size) => size >= least && size <= most);
}

/** Asks for one case in every size, with a length and without. Gives `right of all`. */
async function ask(client: StrictClient, what: string): Promise<string> {
  const { method = '', path = '', key = '', kind = 'plain', status = 0, text = /$/ } = CASES[what] ?? {};
  let [right, all] = [0, 0];
  for (const size of sizesOf(what)) {
    for (const streamed of size > 0 && !client.startsWith('chromium') ? [false, true] : [false]) {
      if (client === TOO_SLOW.client && size === TOO_SLOW.size && !streamed) continue;
      all += 1;
      const request = { method, url: `https://127.0.0.1:${tls.port}${path}`, key, header: '', size, streamed, kind };
      const answer = await clients.ask(client, request);
      const whole = status !== 200 || answer.text.includes(`"read":${size}`);
      if (answer.status === status && text.test(answer.text) && whole) right += 1;
      else
        wrong.push(
          `${client}, ${what}, ${size} bytes${streamed ? ' streamed' : ''}: ${answer.status} ${answer.text.slice(-200)}`,
        );
    }
  }
  return `${right} of ${all}`;
}

for (const client of STRICT_CLIENTS.filter((name) => name.includes(only) && name !== 'chromium 1')) {
  const reason = missing(client);
  if (reason) {
    console.log(`${client}: ${reason}`);
    continue;
  }
  const began = performance.now();
  for (const what of Object.keys(CASES))
    console.log(`${client.padEnd(11)} ${what.padEnd(42)} ${await ask(client, what)}`);
  console.log(`${client.padEnd(11)} ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
for (const one of wrong) console.log(one);
for (const fault of tls.faults) console.log('internal fault', fault);
console.log(
  wrong.length + tls.faults.length === 0 ? 'every answer was the one that was due' : `${wrong.length} went otherwise`,
);
process.exitCode = wrong.length + tls.faults.length > 0 ? 1 : 0;
clients.close();
await tls.close();
upstream.close();

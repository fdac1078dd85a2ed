import t from 'tap';
import { exchangeRaw, recordingUpstream, startGateway } from '../lane-fixture.ts';

/**
 * Names that a client escapes more than it must, as the Python client 1.20 does with every parameter of a path: the byte
 * relay carries them, and sends the name that was decided on.
 */

/** `urllib.parse.quote(name, safe="")`. */
function quoted(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Every character of a name as an escape, digits in lower case. */
function escaped(name: string): string {
  return [...Buffer.from(name)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

const NAMES = ['books', 'my books', 'a:b', "it's (new)!*", 'ü-€', '~tilde_dot.minus-', '%61', 'a+b'];

t.test('the relay carries escaped names, and upstream gets the name that was decided on', async (t) => {
  const upstream = await recordingUpstream();
  // Only the relay reaches upstream.
  const gateway = await startGateway(upstream.port, {
    upstreamOptions: { origin: 'http://127.0.0.1:1' },
    relayed: true,
  });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  for (const name of NAMES) {
    for (const [how, write] of Object.entries({ quoted, escaped })) {
      const target = `/collections/${write(name)}/exists`;
      const head = `GET ${target} HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: close\r\n\r\n`;
      const { text } = await exchangeRaw(gateway.port, head);
      t.match(text, /^HTTP\/1\.1 200 /, `${how} ${name} is relayed`);
      const sent = upstream.received.at(-1)?.target ?? '';
      t.equal(sent, `/collections/${encodeURIComponent(name)}/exists`, 'one form goes upstream');
      const decided = gateway.outcomes.at(-1)?.exchange.resolution?.target;
      t.same(decided, { kind: 'collection', name }, 'the one that was decided on');
    }
  }
});

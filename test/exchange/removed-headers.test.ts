import t from 'tap';
import { REMOVED_HEADERS } from '../../src/exchange/removed-headers.ts';
import { readRequestHead, upstreamFields } from '../../src/grpc/headers/request-head.ts';
import { encodeHeaders, HpackDecoder } from '../../src/http2/hpack.ts';
import { CREDENTIAL_HEADERS, readCredential } from '../../src/identity/credential.ts';
import { Standing } from '../../src/lifetime/standing.ts';
import { toUpstreamHeaders } from '../../src/rest/headers.ts';
import { NO_CREDENTIAL } from '../../src/upstream/credential.ts';

/* No lane apart: what a credential is read from, and what claims to be the client, reaches upstream in neither protocol. */

const SPELLINGS = REMOVED_HEADERS.flatMap((name) => [name, name.replaceAll('-', '_')]);

t.test('a credential is read from the listed headers and from no other', async (t) => {
  for (const name of CREDENTIAL_HEADERS) {
    t.match(readCredential([name.toUpperCase(), 'Bearer x']), { kind: 'given' }, name);
    t.ok(REMOVED_HEADERS.includes(name), `${name} is removed`);
  }
  for (const name of SPELLINGS.filter((one) => !CREDENTIAL_HEADERS.includes(one))) {
    t.equal(readCredential([name, 'Bearer x']), undefined, name);
  }
});

t.test('no spelling of a removed header reaches upstream over REST or gRPC, and others do', async (t) => {
  const headers = [...SPELLINGS, 'x-kept'].flatMap((name) => [name, 'from-the-client']);
  const peer = { address: '10.0.0.1', proxies: undefined, scheme: 'https', standing: new Standing() } as const;
  const rest = toUpstreamHeaders(
    { headers, peer, remote: peer.address, host: 'a.test', hasBody: false, resolution: undefined },
    { readable: false, contentLength: undefined, credential: NO_CREDENTIAL, added: [] },
  );
  const named = (list: readonly string[]) => list.filter((_, index) => list[index + 1] === 'from-the-client');
  t.strictSame(named(rest), ['x-kept'], 'REST');
  const head = readRequestHead([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/qdrant.Points/Get'],
    ...[...SPELLINGS, 'x-kept'].map((name) => [name, 'from-the-client'] as const),
  ]);
  if (typeof head === 'string') throw new TypeError(head);
  const own = { authority: 'upstream', remote: '10.0.0.1', tls: true, credential: NO_CREDENTIAL, added: [] };
  const grpc = upstreamFields(head, own).flatMap(([name, value]) => [`${name}`, value]);
  t.strictSame(named(grpc), ['x-kept'], 'gRPC');
});

t.test('a credential is never put into a table of header compression', async (t) => {
  for (const name of CREDENTIAL_HEADERS) {
    const seen: (boolean | undefined)[] = [];
    const decoder = new HpackDecoder({ maxHeaderBytes: 1_000, maxHeaders: 10 });
    decoder.decode(encodeHeaders([[name, 'secret']]), (_name, _value, neverIndexed) => void seen.push(neverIndexed));
    t.strictSame(seen, [true], name);
  }
});

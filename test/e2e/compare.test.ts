import t, { type Test } from 'tap';
import { type CallClient, frameClient } from '../support/clients/raw-grpc.ts';
import { http1Client, http2Client, type RawClient } from '../support/clients/raw-http.ts';
import { message } from '../support/clients/unary.ts';
import { type CheckAccess, FakeKeys, shownIn } from '../support/fake-qdrant/secured.ts';
import { KEYS, type RunningGateway, startGateway } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { collectionToken } from '../support/tokens.ts';

/** `gateway.upstream.compare`: a secured Qdrant sees the credential of the caller, and its verdict is put beside the gateway's. */

t.setTimeout(FILE_MS);
const UPSTREAM_KEY = 'key-of-qdrant-0123456789';
const TOKEN = collectionToken('r', 'books');
const FORBIDDEN = 'Forbidden: Access to collection books is required';
/** A token that the gateway refuses for `other`, and this Qdrant does not. */
const OTHER = '/collections/other/exists';

const keys = new FakeKeys(UPSTREAM_KEY, KEYS.admin, TOKEN);
/** It refuses the token where the gateway does not: on `books`. */
const check: CheckAccess = (credential, asked) => {
  const named = asked.path === '/collections/books/exists' || asked.path === '/qdrant.Points/Count';
  if (credential === TOKEN && named) return { kind: 'access', text: FORBIDDEN };
  return keys.check(credential, asked);
};

interface Scene {
  readonly gateway: RunningGateway;
  /** One request over each lane of REST, and one gRPC call: statuses, codes and texts. */
  readonly rest: (target: string, credential?: string) => Promise<readonly string[]>;
  readonly call: (method: string, bytes: Uint8Array, credential?: string) => Promise<string>;
  /** Comparisons since the last look. */
  readonly compared: () => object;
}

async function startScene(test: Test, mode: 'enforce' | 'shadow'): Promise<Scene> {
  const gateway = await startGateway({
    upstream: { check },
    settings: {
      'gateway.upstream.api_key': UPSTREAM_KEY,
      'gateway.upstream.compare': true,
      'gateway.mode': mode,
      'gateway.admin.port': 0,
      log_level: 'off',
    },
  });
  const clients: readonly RawClient[] = [http1Client(gateway, 1), http2Client(gateway)];
  const calls: CallClient = frameClient(gateway);
  test.teardown(async () => {
    for (const { close } of [...clients, calls]) close();
    await gateway.close();
  });
  let before: Readonly<Record<string, number>> = {};
  const headersOf = (credential: string | undefined) =>
    credential === undefined ? [] : ([['api-key', credential]] as const);
  return {
    gateway,
    async rest(target, credential) {
      const heard: string[] = [];
      for (const client of clients) {
        for (const path of [target, `/${target}`]) {
          const headers = headersOf(credential);
          const { status, text } = await client.send({ method: 'GET', target: path, headers });
          heard.push(status === 200 ? '200' : `${status} ${/"error":"([^"]*)"/.exec(text)?.[1] ?? text}`);
        }
      }
      return heard;
    },
    async call(method, bytes, credential) {
      const headers = headersOf(credential);
      const { code, message: text } = await calls.call({ method, headers, message: Buffer.from(bytes) });
      return code === 0 ? '0' : `${code} ${text}`;
    },
    compared() {
      const now = gateway.snapshot().observed?.compared ?? {};
      const names = Object.keys(now) as (keyof typeof now)[];
      const more = names.map((name) => [name, (now[name] ?? 0) - (before[name] ?? 0)] as const);
      before = now;
      return Object.fromEntries(more.filter(([, count]) => count > 0));
    },
  };
}

/** The credentials that upstream has seen since the last look. */
function seen({ gateway: { upstream } }: Scene): readonly (string | undefined)[] {
  const { rest, grpc } = upstream.recorder;
  const heads = [...rest.map(({ rawHeaders }) => rawHeaders), ...grpc.map(({ metadata }) => metadata)];
  const shown = [...new Set(heads.map(shownIn))];
  upstream.recorder.clear();
  return shown;
}

const four = (text: string) => Array.from({ length: 4 }, () => text);
const BOOKS = message({ 1: 'books' });

t.test(
  'in mode enforce, what the gateway permits is shown to Qdrant with the credential of the caller',
  async (test) => {
    const scene = await startScene(test, 'enforce');
    test.same(await scene.rest('/collections/books/exists', KEYS.admin), four('200'));
    test.equal(await scene.call('/qdrant.Collections/CollectionExists', BOOKS, KEYS.admin), '0');
    test.same(scene.compared(), { same: 5 });
    test.same(seen(scene), [KEYS.admin]);

    test.same(await scene.rest('/collections', TOKEN), four('200'), 'a filtered list');
    test.equal(await scene.call('/qdrant.Collections/List', new Uint8Array(), TOKEN), '0', 'a filtered list of gRPC');
    test.same(scene.compared(), { same: 5 });
    test.same(seen(scene), [TOKEN], 'is asked for with the token of the caller');

    test.same(await scene.rest('/collections/books/exists', TOKEN), four(`403 ${FORBIDDEN}`), 'its own refusal passes');
    test.equal(await scene.call('/qdrant.Points/Count', BOOKS, TOKEN), `7 ${FORBIDDEN}`);
    test.same(scene.compared(), { upstream_refuses: 5 }, 'each difference counts');
    seen(scene);

    const here = 'Forbidden: Access to collection other is required';
    test.same(await scene.rest(OTHER, TOKEN), four(`403 ${here}`), 'what the gateway refuses is refused');
    test.match(await scene.rest(OTHER), four('401'), 'also without a credential');
    test.same([scene.compared(), seen(scene)], [{}, []], 'and Qdrant does not hear of it');
  },
);

t.test('in mode shadow, Qdrant decides on everything', async (test) => {
  const scene = await startScene(test, 'shadow');
  test.same(await scene.rest(OTHER, TOKEN), four('200'), 'Qdrant permits, the gateway would refuse');
  test.same(scene.compared(), { upstream_permits: 4 });
  test.same(seen(scene), [TOKEN]);

  test.match(await scene.rest(OTHER), four('401 Must provide an API key'), 'no credential');
  test.match(await scene.rest(OTHER, 'wrong'), four('401 Invalid API key or JWT'), 'a wrong one');
  test.match(await scene.call('/qdrant.Collections/CollectionExists', BOOKS, 'wrong'), /^16 /);
  test.same(scene.compared(), { same: 9 }, 'both refuse');
  test.same(seen(scene), [undefined, 'wrong']);

  test.match(await scene.rest('/collections/books/exists', TOKEN), four('403'), 'only Qdrant refuses');
  test.same(scene.compared(), { upstream_refuses: 4 });

  test.match(await scene.rest('/collections/other', TOKEN), four('404'), 'Qdrant answers before its check');
  test.same(scene.compared(), { undecided: 4 });
});

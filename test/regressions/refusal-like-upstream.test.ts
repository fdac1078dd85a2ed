// Refusals of the gateway's own that upstream gives otherwise: a name with a slash on the routes of named vectors was 422 before
// the access was looked at, and refusals below the web interface did not deny framing.
import t from 'tap';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway } from '../rest/lane-fixture.ts';

const NAME = /collection name cannot contain/;

for (const relayed of [true, false]) {
  const lane = relayed ? 'relay' : 'lane';
  t.test(`a name with a slash is refused before or after the access, as upstream does (${lane})`, async (t) => {
    const upstream = await recordingUpstream();
    const gateway = await startGateway(upstream.port, { relayed });
    t.teardown(async () => {
      await gateway.close();
      await upstream.close();
    });
    const ask = async (method: string, target: string, key: string) => {
      const headers = `host: x\r\nconnection: close\r\ncontent-length: 0\r\n${key && `api-key: ${key}\r\n`}`;
      const { text } = await exchangeRaw(gateway.port, `${method} ${target} HTTP/1.1\r\n${headers}\r\n`);
      return readAnswer(text);
    };
    const cases: readonly (readonly [method: string, target: string, key: string, status: number, text: RegExp])[] = [
      ['PUT', '/collections/a%2Fb/vectors/x', '', 401, /Must provide/],
      ['PUT', '/collections/a%2Fb/vectors/x', 'listA', 403, /Access to collection a\/b is required/],
      ['DELETE', '/collections/a%2Fb/vectors/x', 'listA', 403, /Access to collection a\/b is required/],
      ['PUT', '/collections/a%2Fb/vectors/x', 'read', 403, /Global manage access is required/],
      ['PUT', '/collections/a%2Fb/vectors/x', 'main', 422, NAME],
      ['PUT', '/collections/a%2Fb/points', 'listA', 422, NAME],
      ['PUT', `/collections/${'x'.repeat(256)}/vectors/x`, 'listA', 422, /from 1 to 255 characters/],
    ];
    for (const [method, target, key, status, message] of cases) {
      const answer = await ask(method, target, key);
      const name = `${method} ${target.slice(0, 40)} as ${key || 'nobody'}`;
      t.equal(answer.status, status, name);
      t.match(answer.body, message, name);
    }
    t.strictSame(upstream.received, [], 'nothing of it goes upstream');
  });

  t.test(`every refusal below the web interface denies framing, no other does (${lane})`, async (t) => {
    const upstream = await recordingUpstream();
    const gateway = await startGateway(upstream.port, { relayed });
    t.teardown(async () => {
      await gateway.close();
      await upstream.close();
    });
    const cases: readonly (readonly [target: string, status: number, denies: boolean])[] = [
      ['POST /dashboard', 405, true],
      ['POST /dashboard/index.html', 405, true],
      ['GET /dashboard/../index.html', 404, true],
      ['GET /dashboard/.hidden', 400, true],
      ['GET /dashboard/a%2Fb', 400, true],
      ['GET /dashboard/%00', 400, true],
      ['GET /dashboard/%ff', 400, true],
      ['GET /dashboardx', 401, false],
      ['GET /collections', 401, false],
    ];
    for (const [line, status, denies] of cases) {
      const { text } = await exchangeRaw(gateway.port, `${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      const answer = readAnswer(text);
      t.equal(answer.status, status, line);
      t.equal(/^x-frame-options: deny$/m.test(answer.head), denies, `${line}: framing`);
      t.match(answer.head, /^vary: origin/m, `${line}: and says of cors what every answer says`);
    }
  });
}

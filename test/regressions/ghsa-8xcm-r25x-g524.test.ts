// A retry in the HTTP client answered with the Content-Length of the first attempt. Here nothing is retried: what was
// written once is never written again, and a broken answer is broken for the client, too.
import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { ADMIN, attack, CLOSE, LANE_CLOSE, requestOf, withBody } from './attack.ts';

type Play = (request: IncomingMessage, response: ServerResponse) => void;
const PLAYS: Readonly<Record<string, Play>> = {
  'resets before it answers': (request) => request.socket.resetAndDestroy(),
  'closes before it answers': (request) => request.socket.end(),
  'breaks off within its head': (request) => request.socket.end('HTTP/1.1 200 OK\r\nContent-'),
  'breaks off within a body of known length': (request) =>
    request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
  'breaks off within its chunks': (request) =>
    request.socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
  'is busy and says when to come again': (_request, response) => {
    response.writeHead(503, { 'retry-after': '0' }).end('busy');
  },
  'answers a part that was not requested': (_request, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-3/100', 'content-length': '4' }).end('half');
  },
};
const LANES = [CLOSE, LANE_CLOSE];
let play: Play | undefined;
const onRest = (request: IncomingMessage, response: ServerResponse): boolean => {
  request.resume();
  request.on('end', () => (play ? play(request, response) : response.end('whole')));
  return true;
};
const gateway = await attack(t, { upstream: { onRest } });

for (const [name, how, close] of Object.entries(PLAYS).flatMap(([name, how]) =>
  LANES.map((close) => [name, how, close] as const),
)) {
  t.test(`upstream that ${name} is asked once (${close})`, async (t) => {
    for (const line of ['GET /collections/docs', 'PUT /collections/docs/points', 'DELETE /collections/docs']) {
      play = undefined;
      t.match((await gateway.send(requestOf('GET /collections/warm', ADMIN, CLOSE))).answers, [{ body: 'whole' }]);
      gateway.seen();
      play = how;
      const bytes = line.startsWith('PUT') ? withBody('{}', line, ADMIN, close) : requestOf(line, ADMIN, close);
      const { answers, closed } = await gateway.send(bytes);
      t.ok(closed);
      const [answer] = answers;
      const whole = answer && Number(answer.headers['content-length'] ?? Number.NaN) === answer.body.length;
      t.notOk(whole && answer.status === 200, 'no short success');
      t.strictSame(gateway.seen(), [line]);
    }
  });
}

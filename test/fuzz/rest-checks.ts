import type { Http1Answer, Http1Request, Http1Watch } from './kept-http1-upstream.ts';
import { IN_OTHER } from './rest-requests.ts';
import type { Answered, Asked, RestTalk } from './rest-talk.ts';

/** Names that are kept of requests of earlier talks. */
const EARLIER = 1000;

/** What upstream has seen and said since `begin`, by `x-id`. */
export class UpstreamLog implements Http1Watch {
  readonly requests = new Map<string, Http1Request>();
  readonly answers = new Map<string, Http1Answer>();
  fault: string | undefined;
  /** Names of requests of earlier talks, and whether upstream has seen them: those that were given up it may only read now. */
  readonly #earlier = new Map<string, boolean>();

  begin(earlier: RestTalk | undefined): void {
    for (const { fields } of earlier?.asked.values() ?? []) {
      const name = fields.get('x-id') ?? '';
      this.#earlier.set(name, this.requests.has(name));
    }
    for (const name of this.#earlier.keys()) if (this.#earlier.size > EARLIER) this.#earlier.delete(name);
    this.requests.clear();
    this.answers.clear();
    this.fault = undefined;
  }

  request(request: Http1Request): void {
    const { name, target } = request;
    const before = this.#earlier.get(name);
    if (before === false) this.#earlier.set(name, true);
    // The gateway's own question for upstream's release.
    if (before === false || (name === '' && target === '/')) return;
    if (before || this.requests.has(name)) this.wrong(`${name} was sent twice`);
    this.requests.set(name, request);
  }

  answer(name: string, answer: Http1Answer): void {
    this.answers.set(name, answer);
  }

  wrong(what: string): void {
    this.fault ??= what;
  }
}

/** Looks whether upstream got what the client said, and the client what upstream said. Throws what is wrong. */
export function checkTalk(talk: RestTalk, log: UpstreamLog): void {
  if (log.fault !== undefined) throw new Error(`upstream: ${log.fault}`);
  for (const request of log.requests.values()) checkRequest(request, talk);
  for (const [id, answer] of talk.answers) {
    const asked = talk.asked.get(id);
    if (asked) checkAnswer(asked, answer, log);
  }
}

const TOO_DEEP = '['.repeat(100);

function checkRequest({ name, method, target, headers, body, whole }: Http1Request, talk: RestTalk): void {
  const wrong = (what: string): Error => new Error(`upstream got ${what}: ${method} ${target} ${name}`);
  const permitted = headers.get('x-n');
  const asked = talk.named(name);
  if (!asked) throw wrong('a request that was not sent');
  const { fields } = asked;
  if (fields.get(':method') !== method) throw wrong(`another method than ${fields.get(':method')}`);
  if (fields.get(':path')?.replaceAll('//', '/') !== target) throw wrong(`another target than ${fields.get(':path')}`);
  const length = fields.get('content-length');
  const [got, said] = [Buffer.concat(body), Buffer.concat(asked.body)];
  // What a query names is in its body, and another frame may have changed that.
  if (permitted === 'no' && (!target.endsWith('/query') || said.includes(IN_OTHER)))
    throw wrong('what is not permitted');
  if (whole ? !asked.ended || !got.equals(said) : !got.equals(said.subarray(0, got.length))) {
    throw wrong(`another body: ${got.length} bytes, ${whole ? '' : 'not '}whole, of ${said.length}`);
  }
  if (!whole) return;
  if (length !== undefined && Number(length) !== got.length)
    throw wrong(`${got.length} bytes, and ${length} announced`);
  if (permitted === 'part' && got.includes(TOO_DEEP)) throw wrong('all of a body that nests too deep');
}

function checkAnswer({ id, fields: request }: Asked, { end, status, fields, body }: Answered, log: UpstreamLog): void {
  const wrong = (what: string): Error => new Error(`the answer ${status} on ${id} has ${what}`);
  const said = Buffer.concat(body);
  const from = fields.get('x-id');
  const upstream = from === undefined ? undefined : log.answers.get(from);
  if (from !== undefined) {
    if (from !== request.get('x-id') || !upstream) throw wrong(`been said to ${from}`);
    if (upstream.status !== status) throw wrong(`another status than ${upstream.status}`);
  }
  if (end !== 'whole') {
    if (upstream && !isFiltered(request) && !upstream.body.subarray(0, said.length).equals(said))
      throw wrong('another body');
    return;
  }
  const length = fields.get('content-length');
  const bare = request.get(':method') === 'HEAD' || status === 204 || status === 304;
  if (bare ? said.length > 0 : length !== undefined && Number(length) !== said.length) {
    throw wrong(`content-length ${length} and ${said.length} bytes`);
  }
  if (!upstream) return;
  if (!upstream.whole) throw wrong('an end, and upstream broke it off');
  if (isFiltered(request) && !bare) {
    if (status === 200 && !said.toString().startsWith('{"result":{"collections":[{"name":"a"}]}'))
      throw wrong(`${said}`);
    if (said.includes('"other"')) throw wrong(`a name that is not to be seen: ${said}`);
  } else if (!upstream.body.equals(said)) throw wrong(`another body than upstream's ${upstream.body.length} bytes`);
}

function isFiltered(request: ReadonlyMap<string, string>): boolean {
  return request.get(':path') === '/collections' && request.get('api-key') === 'listA';
}

import { type Http1Answer, type Http1Request, type Http1Watch, WHOLE_ANSWERS } from './kept-http1-upstream.ts';
import { IN_OTHER } from './rest-requests.ts';
import type { Answered, Asked, RestTalk } from './rest-talk.ts';

/** Names that are kept of requests of earlier talks. */
const EARLIER = 1000;

/** What upstream has seen and said since `begin`, by `x-id`. */
export class UpstreamLog implements Http1Watch {
  readonly requests = new Map<string, Http1Request>();
  readonly answers = new Map<string, Http1Answer>();
  fault: string | undefined;
  #nameless = false;
  /** Names of requests of earlier talks, and whether upstream has seen them: those that were given up it may only read now. */
  readonly #earlier = new Map<string, boolean>();

  /** @param nameless a request may have lost its name */
  begin(earlier: RestTalk | undefined, nameless: boolean): void {
    this.#nameless = nameless;
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
    if (before === false || (name === '' && (target === '/' || this.#nameless))) return;
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
  const path = (fields.get(':path') ?? '').replaceAll('//', '/');
  // A changed one may have to be written otherwise.
  if (/^[/\w?=]+$/.test(path) && path !== target) throw wrong(`another target than ${fields.get(':path')}`);
  const length = fields.get('content-length');
  const [got, said] = [Buffer.concat(body), Buffer.concat(asked.body)];
  // What a query names is in its body, and another frame may have changed that.
  // A changed bit may also have made it the open root, with the rest as its fragment.
  if (permitted === 'no' && target !== '/' && (!target.endsWith('/query') || said.includes(IN_OTHER)))
    throw wrong('what is not permitted');
  const announced = length === undefined ? said.length : Number(length);
  if (!got.equals(said.subarray(0, got.length))) throw wrong('another body');
  // The body of an open operation is thrown away.
  if (!whole || (path.endsWith('z') && got.length === 0)) return;
  // All that was announced is a whole body over HTTP/1.1, although the client has yet to end it.
  if (got.length !== announced || (length === undefined && !asked.ended)) {
    throw wrong(`${got.length} bytes as a whole body, of ${announced}`);
  }
  if (permitted === 'part' && got.includes(TOO_DEEP)) throw wrong('all of a body that nests too deep');
}

function checkAnswer({ id, fields: request }: Asked, { end, status, fields, body }: Answered, log: UpstreamLog): void {
  const wrong = (what: string): Error => new Error(`the answer ${status} on ${id} has ${what}`);
  const said = Buffer.concat(body);
  const from = fields.get('x-id');
  const upstream = from === undefined ? undefined : log.answers.get(from);
  // Only a changed request has an empty name.
  if (from) {
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

/** Statuses of upstream by the form of its answer; 200 otherwise. */
const STATUSES: Readonly<Record<string, number>> = { early: 404, deaf: 404, empty: 204, 'not-modified': 304 };

/** Looks whether every whole request of a client that kept all rules has the answer that is due. Throws what is wrong. */
export function checkVerdicts({ asked, answers }: RestTalk): void {
  for (const { id, fields, ended, reset, overrun } of asked.values()) {
    const expected = fields.get('x-e');
    if (!ended || reset || overrun || expected === 'broken' || expected === undefined) continue;
    const { status = 0, end = 'open', code } = answers.get(id) ?? {};
    const due = dueStatus(fields, expected);
    const is = end === 'whole' ? status : 0;
    if (due !== undefined && is !== due && code !== REFUSED_STREAM) {
      throw new Error(
        `the answer on ${id} is ${status} ${end} ${code ?? ''} where ${due} is due: ${[...fields].join(' ')}`,
      );
    }
  }
}

/** RFC 9113 section 7: more streams than the client may have. */
const REFUSED_STREAM = 7;

/** 0 = none that is whole; `undefined` = several may be right. */
function dueStatus(fields: ReadonlyMap<string, string>, expected: string): number | undefined {
  const [kind = ''] = (fields.get('x-u') ?? '').split(/-(?=\d)/);
  // Upstream may answer while the body is still measured.
  if (fields.get('x-n') === 'part' && (kind === 'early' || kind === 'deaf')) return undefined;
  if (expected !== '') return Number(expected);
  if (fields.get('x-n') === 'no') return fields.get(':method') === 'OPTIONS' ? undefined : 0;
  const isChanged = isFiltered(fields) || /z$/.test(fields.get(':path') ?? '');
  if (isChanged) return WHOLE_ANSWERS.includes(kind) && STATUSES[kind] === undefined ? 200 : undefined;
  return WHOLE_ANSWERS.includes(kind) || kind in STATUSES ? (STATUSES[kind] ?? 200) : undefined;
}

function isFiltered(request: ReadonlyMap<string, string>): boolean {
  return request.get(':path')?.split('?')[0] === '/collections' && request.get('api-key') === 'listA';
}

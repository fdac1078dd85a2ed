import t from 'tap';
import { Asker, AskerBusy, type Asking, stateToAskOn } from '../../src/console/server/questions/asker.ts';
import { MOST_ANSWER } from '../../src/console/server/questions/bounds.ts';
import { type Question, QuestionFault } from '../../src/console/server/questions/question.ts';
import { NOW, stateOf } from '../explain/fixture.ts';

/* Questions on a thread of their own: to whom an answer goes, and how long others wait. */

const state = stateToAskOn(stateOf());
const TIMES = { workMs: 60_000, wholeMs: 60_000 };
/** A question with an answer of its own. */
const asking = (owner: string, path: string, more: Partial<Asking> = {}): Asking => ({
  question: {
    ...{ kind: 'try', now: NOW, release: undefined },
    request: { protocol: 'rest', method: 'GET', target: path, as: 'anonymous' },
  },
  ...{ state, owner, times: TIMES },
  ...more,
});
/** A question that takes long: many cases, each with a verdict. */
const slow = (count: number): Question => ({
  ...{ kind: 'tests', now: NOW, draft: undefined, role: 'read' },
  cases: `cases:\n${'  - as: anonymous\n    request: GET /collections\n    expect: denied\n'.repeat(count)}`,
});
const told = (answer: Promise<object | string>): Promise<string> =>
  answer.then(
    (found) => JSON.stringify(found),
    (error: unknown) => (error instanceof AskerBusy ? error.message : String(error)),
  );

t.test("an answer of a thread that was ended is nobody's", async (t) => {
  const asker = new Asker(8, 8);
  t.teardown(() => asker.close());
  await asker.ask(asking('warm', '/healthz'));
  for (let round = 0; round < 4; round += 1) {
    // The answer lies in the port when the time is over: the event loop is kept busy until then.
    const late = told(asker.ask(asking('late', '/collections', { times: { workMs: 20, wholeMs: 60_000 } })));
    await new Promise(setImmediate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    const [first, second] = await Promise.all([
      told(asker.ask(asking('first', '/collections/first'))),
      told(asker.ask(asking('second', '/collections/second'))),
    ]);
    t.match(first, /first/, 'the first one hears of its own');
    t.notMatch(first, /second/);
    t.match(second, /second/, 'and the second one');
    await late;
  }
});

t.test('one caller has two open questions at most, and others are answered', async (t) => {
  const asker = new Asker(8, 2);
  t.teardown(() => asker.close());
  const own = Array.from({ length: 5 }, () => told(asker.ask(asking('greedy', '/collections'))));
  const other = told(asker.ask(asking('other', '/collections/other')));
  const heard = await Promise.all(own);
  t.equal(heard.filter((text) => /^2 of your questions are not answered yet/.test(text)).length, 3);
  t.match(await other, /other/);
});

t.test('a question that waits for others is given up in time', async (t) => {
  const asker = new Asker(8, 2);
  t.teardown(() => asker.close());
  const long = told(asker.ask(asking('long', '', { question: slow(5000), times: { workMs: 1500, wholeMs: 60_000 } })));
  const short = told(asker.ask(asking('short', '/collections', { times: { workMs: 100, wholeMs: 200 } })));
  t.match(await short, /^The questions of others took all of the time/);
  t.match(await long, /^No answer within 2 seconds|passed/);
  t.match(await told(asker.ask(asking('short', '/collections/next'))), /next/, 'the next one is answered');
});

t.test('each question is about the state that it was asked with', async (t) => {
  const asker = new Asker(8, 8);
  t.teardown(() => asker.close());
  const without = stateToAskOn(stateOf({}, { 'service.read_only_api_key': null }));
  const request = { protocol: 'rest', method: 'GET', target: '/collections', as: 'read_only_api_key' } as const;
  const question: Question = { kind: 'try', now: NOW, release: undefined, request };
  const heard = await Promise.all(
    [state, without, without, state].map((one) => told(asker.ask(asking('a', '', { question, state: one })))),
  );
  t.strictSame(
    heard.map((text) => text.includes('no key has the id')),
    [false, true, true, false],
  );
  t.equal(stateToAskOn(state), stateToAskOn(state), 'and is copied once');
});

t.test('what a draft names many times does not leave the thread as many times', async (t) => {
  const asker = new Asker(8, 8);
  t.teardown(() => asker.close());
  /** Cases with a long text that stands once in the file, and is told by each of them. */
  const cases = (length: number, count: number, member: string, more = ''): Question => ({
    ...{ kind: 'tests', now: NOW, draft: undefined, role: 'read' },
    cases: `cases:\n${Array.from(
      { length: count },
      (_, at) =>
        `  - { as: anonymous, request: GET /, expect: { ${member}: ${at === 0 ? `&s "${more}${'x'.repeat(length)}"` : '*s'} } }\n`,
    ).join('')}`,
  });
  const heard = async (question: Question): Promise<string | readonly string[]> => {
    try {
      const answer = await asker.ask(asking('a', '', { question }));
      return typeof answer === 'string' ? answer : 'an object';
    } catch (error) {
      if (error instanceof QuestionFault) return error.problems;
      throw error;
    }
  };
  const short = await heard(cases(1000, 90, 'sent'));
  t.match(JSON.parse(String(short)), { failed: 90, cases: { length: 90 } }, 'a short one is told, as JSON');
  t.match(await heard(cases(40_000, 90, 'sent')), /^\{"passed":0,"failed":90/, 'and one that fits');
  for (const [length, more, sentence] of [
    [150_000, '', 'a long one'],
    [20_000, '\\u202e'.repeat(20_000), 'one that is longer in JSON'],
  ] as const) {
    const told = await heard(cases(length, 90, 'sent', more));
    t.strictSame(told, ['The answer is too large to be shown. The command line shows all of it.'], sentence);
  }
  const problems = await heard(cases(50_000, 90, 'verdict'));
  t.equal(problems.length, 90, 'mistakes of a file are told');
  t.ok(problems.length > 0 && JSON.stringify(problems).length < MOST_ANSWER / 10, 'each of them in short');
  const many = await heard(
    cases(10, 1, 'x', `" , ${Array.from({ length: 900 }, (_, at) => `y${at}: 1, `).join('')} z: "`),
  );
  t.equal(many.length, 201, 'and the first ones of many');
  t.match(many.at(-1), /^\d+ more problems are not shown$/);
});

t.test('a question that takes too much memory ends alone', async (t) => {
  const large = slow(20_000);
  const small = (megabytes: number) => {
    const asker = new Asker(8, 8, megabytes);
    t.teardown(() => asker.close());
    return (question: Question) => told(asker.ask(asking('a', '', { question })));
  };
  const ask = small(100);
  const first = asking('a', '/collections/first').question;
  t.match(await ask(first), /first/, 'a thread that has answered before');
  const [heard, next] = await Promise.all([ask(large), ask(asking('a', '/collections/next').question)]);
  t.match(heard, /^It takes too much memory/);
  t.match(next, /next/, 'the next one is answered');
  t.ok((await small(384)(slow(2000))).includes('passed'), 'and many cases are, with the memory that there is');
});

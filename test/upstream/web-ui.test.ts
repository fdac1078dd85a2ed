import t from 'tap';
import { UPSTREAM_TIMEOUT } from '../../src/policy/denial.ts';
import { WebUi } from '../../src/upstream/web-ui.ts';

type Answer = Awaited<ReturnType<ConstructorParameters<typeof WebUi>[0]['ask']>>;

function scene(...answers: (Answer | Error)[]) {
  let now = 0;
  let asked = 0;
  const webUi = new WebUi({
    now: () => now,
    async ask() {
      const answer = answers[Math.min(asked, answers.length - 1)] ?? true;
      asked += 1;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  return {
    webUi,
    asked: () => asked,
    /** Looks after so many milliseconds, and again once upstream has answered. */
    async after(ms: number): Promise<boolean> {
      now += ms;
      void webUi.present;
      await new Promise((resolve) => setImmediate(resolve));
      return webUi.present;
    },
  };
}

t.test('the web UI counts as there until upstream has answered', async (t) => {
  const { webUi } = scene(false);
  t.equal(webUi.present, true);
});

t.test('an answer holds for a minute, then upstream is asked again', async (t) => {
  const { webUi, after, asked } = scene(false, true);
  await webUi.look();
  t.strictSame([webUi.present, asked()], [false, 1]);
  t.strictSame([await after(59_999), asked()], [false, 1]);
  t.strictSame([await after(1), asked()], [true, 2]);
});

for (const [name, silence] of [
  ['cannot be reached', UPSTREAM_TIMEOUT],
  ['fails', new Error('broken')],
] as const) {
  t.test(`an upstream that ${name} changes nothing and is asked again after 5 s`, async (t) => {
    const { webUi, after, asked } = scene(false, silence, silence, true);
    await webUi.look();
    t.strictSame([await after(60_000), asked()], [false, 2]);
    t.strictSame([await after(4_999), asked()], [false, 2]);
    t.strictSame([await after(1), asked()], [false, 3]);
    t.strictSame([await after(5_000), asked()], [true, 4]);
  });
}

t.test('one question at a time', async (t) => {
  const { webUi, asked } = scene(true);
  for (let round = 0; round < 10; round += 1) void webUi.present;
  t.equal(asked(), 1);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { envName, type Option, options } from '../../src/config/options.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { Draw, tapes } from '../support/generators/arbitraries.ts';
import { runs } from '../support/generators/runs.ts';
import { runScript } from '../support/process/run-script.ts';

const GOOD: Readonly<Record<string, string>> = {
  QDRANT__SERVICE__API_KEY: 'k'.repeat(40),
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
  QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:2',
};
const UPSTREAM = { upstream: { rest_url: 'http://127.0.0.1:1', grpc_url: 'http://127.0.0.1:2' } };

/** One mistake: where it is made, and what is to be named as its place. */
interface Mistake {
  readonly env: Readonly<Record<string, string>>;
  readonly yaml: string | undefined;
  readonly names: RegExp;
}

const escaped = (text: string) => text.replace(/[.]/g, '\\.');
const NUMBERS = options.filter(({ kind }) => kind.type === 'integer');
const FLAGS = options.filter(({ kind }) => kind.type === 'boolean');
const OWN = options.filter(({ path }) => path.startsWith('gateway.'));

/** An object in which `path` has `value`. */
function nested(path: string, value: unknown): Record<string, unknown> {
  return path.split('.').reduceRight<unknown>((inner, part) => ({ [part]: inner }), value) as Record<string, unknown>;
}

function merged(one: Record<string, unknown>, other: Record<string, unknown>): Record<string, unknown> {
  const result = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const before = result[key];
    const deep = typeof before === 'object' && typeof value === 'object' && before !== null && value !== null;
    result[key] = deep ? merged(before as Record<string, unknown>, value as Record<string, unknown>) : value;
  }
  return result;
}

const MAKERS: readonly ((draw: Draw) => Mistake)[] = [
  // A number that is none, or out of range: in the environment or in the file.
  (draw) => {
    const option = draw.of(NUMBERS);
    const value = draw.of(['many', '-1', '1e3', '0x10', '99999999999999999999', '1.5', 'NaN', '\u0661', '1 2', 'true']);
    return draw.oneIn(2) ? inFile(option, value) : inEnvironment(option, value);
  },
  (draw) => inFile(draw.of(NUMBERS), draw.of([-1, 1.5, 1e30, true, [], {}, ['1']])),
  (draw) => {
    const value = draw.of(['perhaps', '2', '-1', 'truee', '[]']);
    const option = draw.of(FLAGS);
    return draw.oneIn(2) ? inFile(option, value) : inEnvironment(option, value);
  },
  // A name of ours that is not known.
  (draw) => {
    const { path } = draw.of(OWN);
    const wrong = `${path}${draw.of(['s', '_', 'x', '2'])}`;
    const known = options.some((option) => option.path === wrong || option.path.startsWith(`${wrong}.`));
    return inFile({ path: known ? `${path}_x` : wrong }, 1);
  },
  (draw) => {
    const { path } = draw.of(OWN);
    return inEnvironment({ path: `${path}_x` }, '1');
  },
  // A section that is a value, and a value that is a section.
  (draw) =>
    inFile({ path: draw.of(['gateway.limits', 'gateway.rest', 'gateway.value_exists']) }, draw.of(['x', 1, true, [1]])),
  (draw) => inFile(draw.of(OWN), { deeper: 1 }),
  // What YAML can do beside values.
  (draw) => {
    const text = draw.of([
      'a: &x {json_depth: 9}\ngateway: {limits: {<<: *x}}\n',
      'a: &x {enable_tls: true}\nservice: {<<: *x}\n',
      'service: {enable_tls: *unknown}\n',
      'gateway: {limits: {json_depth: 64, json_depth: 63}}\n',
      'gateway: !!js/function "x"\n',
      'gateway: [\n',
      'gateway:\n\t limits: {}\n',
      '--- {}\n--- {}\n',
      'gateway: *unknown\n',
    ]);
    return { env: GOOD, yaml: text, names: /gateway\.yaml/ };
  },
];

function inFile({ path }: Pick<Option, 'path'>, value: unknown): Mistake {
  const yaml = stringify(merged({ gateway: UPSTREAM }, nested(path, value)));
  return { env: GOOD, yaml, names: new RegExp(`gateway\\.yaml|${escaped(path)}`) };
}

function inEnvironment({ path }: Pick<Option, 'path'>, value: string): Mistake {
  const name = envName(path);
  return { env: { ...GOOD, [name]: value }, yaml: undefined, names: new RegExp(`${name}|${escaped(path)}`, 'i') };
}

function problemsOf({ env, yaml }: Mistake): readonly string[] {
  try {
    loadConfig({
      env,
      cwd: '/nowhere',
      argv: yaml === undefined ? {} : { config: 'gateway.yaml' },
      readFile: () => Buffer.from(yaml ?? ''),
    });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

/** Values that are read after all, since the option takes them. */
function isTaken(mistake: Mistake): boolean {
  return problemsOf(mistake).length === 0;
}

t.test('O6: a mistake refuses the start, with its place named', async (t) => {
  let refused = 0;
  const taken = new Set<string>();
  fc.assert(
    fc.property(tapes(12), (tape) => {
      const draw = new Draw(tape);
      const mistake = draw.of(MAKERS)(draw);
      const problems = problemsOf(mistake);
      if (problems.length === 0) {
        taken.add(JSON.stringify([mistake.yaml, mistake.env]));
        return;
      }
      refused += 1;
      assert.ok(
        problems.some((problem) => mistake.names.test(problem)),
        `${mistake.names} in ${problems.join()}`,
      );
      for (const problem of problems) {
        assert.doesNotMatch(problem, /\n|undefined|\[object|ZodError|at .*\.ts:/, problem);
        assert.ok(!problem.includes('k'.repeat(40)), 'no key in a problem');
      }
    }),
    { numRuns: runs(3000), seed: 11 },
  );
  t.same([...taken], [], 'none is taken');
  t.equal(refused, runs(3000));
});

t.test('O6: whatever the file and the variables are, it ends with a configuration or with problems', async (t) => {
  const words = fc.constantFrom(
    ...options.flatMap(({ path }) => path.split('.')),
    'x',
    '__proto__',
    'constructor',
    '',
    '&a',
    '*a',
    '<<',
  );
  const yaml = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.object({ key: words }).map((value) => stringify(value)),
  );
  const env = fc.dictionary(fc.constantFrom(...options.map(({ path }) => envName(path))), fc.string());
  fc.assert(
    fc.property(yaml, env, (text, variables) => {
      problemsOf({ env: { ...GOOD, ...variables }, yaml: text, names: /x/ });
    }),
    { numRuns: runs(1500), seed: 12 },
  );
  t.pass(`${runs(1500)} of them`);
});

t.test('O6: anchors that stand for more and more cost nothing', async (t) => {
  const nine = (name: string) => Array(9).fill(`*${name}`).join();
  const names = [...'abcdefghijkl'];
  const lines = names.map((name, i) => `${name}: &${name} [${i === 0 ? '1' : nine(names[i - 1] ?? '')}]`);
  const problems = problemsOf({
    env: GOOD,
    yaml: `${lines.join('\n')}\ngateway: {limits: {json_depth: *l}}\n`,
    names: /x/,
  });
  t.match(problems.join(), /json_depth. must be a single value/);
  t.same(problemsOf({ env: GOOD, yaml: 'a: &x [*x]\n', names: /x/ }), [], 'nor does one that holds itself');
});

t.test('O6: a variable wins over the file, and a bad one is not saved by a good one there', async (t) => {
  for (const { path } of OWN.filter((option) => option.kind.type === 'integer')) {
    const clash = { ...inFile({ path }, 64), env: { ...GOOD, [envName(path)]: 'many' } };
    t.match(problemsOf(clash).join(), new RegExp(envName(path), 'i'), path);
  }
});

t.test('O6: `check-config` and `serve` refuse what loading refuses, and with the same words', async (t) => {
  const folder = t.testdir();
  for (let index = 0; index < 4; index += 1) {
    const draw = new Draw({ seed: 77 + index, length: 12 });
    let mistake = draw.of(MAKERS)(draw);
    for (let tries = 0; isTaken(mistake) && tries < 50; tries += 1) mistake = draw.of(MAKERS)(draw);
    if (mistake.yaml !== undefined) writeFileSync(join(folder, 'gateway.yaml'), mistake.yaml);
    const env = mistake.yaml === undefined ? mistake.env : { ...mistake.env, QDRANT_GATEWAY__CONFIG: 'gateway.yaml' };
    const ended = await Promise.all(
      ['check-config', 'serve'].map((command) => runScript(['src/cli/main.ts', command], { env, cwd: folder })),
    );
    const [problem = ''] = problemsOf(mistake);
    for (const { code, out, err } of ended) {
      t.equal(code, 2, err);
      t.equal(out, '');
      t.ok(err.includes(problem), `${problem} in ${err}`);
    }
  }
});

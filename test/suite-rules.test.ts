import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

/*
 * What holds for the tests themselves: none asserts a time of the machine, and none sleeps to let something happen. Work is
 * counted, compared with a reference of the same run (`support/reference.ts`), or the clock is injected; figures in
 * milliseconds belong into soaks and benchmarks. Each rule is tried on lines that break it.
 */
const FOLDER = import.meta.dirname;

interface Rule {
  readonly name: string;
  readonly pattern: RegExp;
  /** Lines that break the rule, and lines that do not. */
  readonly broken: readonly string[];
  readonly kept: readonly string[];
  /** At most so many lines of a file may break it, for this reason. */
  readonly exceptions: Readonly<Record<string, readonly [lines: number, reason: string]>>;
}

const RULES: readonly Rule[] = [
  {
    name: 'no test reads the clock of the machine to judge by it',
    pattern:
      /\bperformance\.now\(|\bhrtime\b|\b(threadCpuUsage|cpuUsage)\(|\bDate\.now\(\)\s*-\s*[a-z]|-\s*Date\.now\(\)/,
    broken: [
      'const began = performance.now();',
      'const took = process.hrtime.bigint() - began;',
      'const used = process.threadCpuUsage(before);',
      't.ok(Date.now() - began < 50);',
    ],
    kept: ['const took = stopwatch();', 'const notBefore = new Date(Date.now() - 60_000);'],
    exceptions: {
      'architecture.test.ts': [2, 'lines that break a rule of its own'],
      'admin/listener.test.ts': [2, 'the date that is shown is of today'],
      'hardening/fairness.test.ts': [
        4,
        'waits of two callers are compared, and a pace counts over the time that passed',
      ],
      'hardening/tls.test.ts': [2, 'handshakes are compared with those in quiet'],
      'hardening/operation.test.ts': [2, 'a share of the time that passed'],
      'limits/shared-under-load.test.ts': [1, 'what flows in over the time that passed'],
      'rest/http1/request-head.test.ts': [2, 'a bound of a loop'],
      'rest/listener.test.ts': [2, 'a bound of a loop'],
      'rest/relay/relay.test.ts': [2, 'a bound of a loop'],
      'rest/server/forward.test.ts': [2, 'a bound of a loop'],
      'rest/http2/http2.test.ts': [2, 'a bound of a loop'],
    },
  },
  {
    name: 'no test compares a span with a number of milliseconds or seconds',
    pattern:
      /(?:\b|\.)(?:ms|took|elapsed|seconds|p50|p90|p99|longest|slowest|\w+(?:Ms|Seconds))\)?\s*[<>]=?\s*(?:limit\b|[A-Z_]{3,}|\d)/,
    broken: ['t.ok(tookMs < 1000);', 't.ok(answer.ms < LIMIT);', 't.ok(p99 <= 200);'],
    kept: ['t.ok(longer < 20);', 'const part = expires_in_seconds * 1000;', 't.ok(most < 3 * least);'],
    exceptions: {},
  },
  {
    name: 'no test sleeps to let something happen',
    pattern:
      /setTimeout\(\s*(?:resolve|done|r)\b|\bawait\s+(?:sleep|delay|pause|setTimeout)\(|\(resolve\)\s*=>\s*setTimeout\(/,
    broken: ['await new Promise((resolve) => setTimeout(resolve, 20));', 'await sleep(50);', 'await delay(900);'],
    kept: ["await until(() => seen === 2, 'both are seen');", 'const timer = setTimeout(() => done(false), limitMs);'],
    exceptions: {
      'audit/audit.test.ts': [1, 'the pace of a loop that ends with what it waits for'],
      'explain/token/verdict.test.ts': [1, 'the pace of a client'],
      'config/files/watch.test.ts': [1, 'that a file is not looked at shows in time only'],
      'exchange/steps.test.ts': [1, 'the pace of a loop that ends with what it waits for'],
      'limits/abandoned-calls.test.ts': [2, 'timers of the machine beside an injected clock'],
      'fake-qdrant/wire.test.ts': [1, 'the pace of a client'],
      'hardening/tls.test.ts': [1, 'a client that is not answered goes on'],
      'observability/blocked-log.test.ts': [1, 'the pace of a loop that ends with what it waits for'],
      'observability/destination.test.ts': [1, 'the pace of a loop that ends with what it waits for'],
      'regressions/clients-that-leave.test.ts': [1, 'the pace of a loop that ends with what it waits for'],
      'regressions/cve-2026-48931.test.ts': [1, 'an upstream that says something while the connection is idle'],
      'regressions/grpc-unread-answers.test.ts': [3, 'that nothing moves any more shows in time only'],
      'regressions/refused-upload-answer.test.ts': [1, 'the pace of a client'],
      'limits/memory-budget.test.ts': [2, 'that a body is not given up shows in time only'],
      'grpc/unary/answer-memory.test.ts': [1, 'that no byte comes any more shows in time only'],
      'rest/server/forward.test.ts': [1, 'that nothing moves any more shows in time only'],
      'rest/relay/parity.test.ts': [1, 'the pace of an upstream'],
      'rest/relay/relay.test.ts': [4, 'the pace of a client and of an upstream'],
    },
  },
];

/** A file's lines without its comments. */
const linesOf = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .split('\n')
    .map((line) => line.replace(/(?<!:)\/\/.*$/, '').trim());

const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => path.endsWith('.test.ts') && path !== 'suite-rules.test.ts' && !path.startsWith('bench/'));

for (const { name, pattern, broken, kept, exceptions } of RULES) {
  t.test(name, async (t) => {
    for (const line of broken) t.match(line, pattern, `breaks the rule: ${line}`);
    for (const line of kept) t.notMatch(line, pattern, `keeps it: ${line}`);
    for (const file of files) {
      const found = linesOf(join(FOLDER, file)).filter((line) => pattern.test(line));
      const [allowed = 0] = exceptions[file] ?? [];
      t.ok(found.length <= allowed, `${file}: ${allowed} at most of ${found.length}\n${found.join('\n')}`);
    }
  });
}

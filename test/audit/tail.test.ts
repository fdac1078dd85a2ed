import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { AuditTail } from '../../src/audit/reading/tail.ts';
import { auditFiles } from '../../src/cli/audit.ts';

const dir = mkdtempSync(join(tmpdir(), 'qdrant-gateway-tail-'));
t.teardown(() => rmSync(dir, { recursive: true }));
const line = (second: number, id: string): string =>
  `${JSON.stringify({ timestamp: `2026-11-30T10:00:${String(second).padStart(2, '0')}.000Z`, id })}\n`;
const all = (): boolean => true;
const idsIn = (tail: AuditTail, after = 0, most = 100) => tail.newest(after, all, most).map(({ entry }) => entry.id);

t.test('entries of all workers come in the order of time, the newest first, and only once', async (t) => {
  writeFileSync(join(dir, 'audit.2026-11-30-w1.log'), line(1, 'a') + line(3, 'c'));
  writeFileSync(join(dir, 'audit.2026-11-30-w2.log'), line(2, 'b'));
  writeFileSync(join(dir, 'other.log'), line(2, 'no audit file'));
  const tail = new AuditTail(dir);
  tail.look();
  t.strictSame(idsIn(tail), ['c', 'b', 'a']);
  const seen = tail.last;
  tail.look();
  t.strictSame(idsIn(tail, seen), [], 'nothing is new');
  appendFileSync(join(dir, 'audit.2026-11-30-w2.log'), line(4, 'd'));
  appendFileSync(join(dir, 'audit.2026-11-30-w1.log'), line(5, 'e').slice(0, 20));
  tail.look();
  t.strictSame(idsIn(tail, seen), ['d'], 'half a line is no entry yet');
  appendFileSync(join(dir, 'audit.2026-11-30-w1.log'), line(5, 'e').slice(20));
  tail.look();
  t.strictSame(idsIn(tail, seen), ['e', 'd'], 'and one once it is whole');
  t.strictSame(idsIn(tail, 0, 2), ['e', 'd'], 'bounded');
  t.strictSame(
    tail.newest(0, ({ id }) => id === 'b', 100).map(({ entry }) => entry.id),
    ['b'],
    'filtered',
  );
});

t.test('of much that was written in between, the newest is read, and what is kept is bounded', async (t) => {
  const file = join(dir, 'audit.2026-12-01.log');
  const tail = new AuditTail(dir);
  const many = Array.from({ length: 40_000 }, (_, at) => line(10, `n${at}-${'x'.repeat(40)}`));
  writeFileSync(file, many.join(''));
  tail.look();
  const kept = idsIn(tail, 0, 100_000);
  t.equal(kept.length, 5000);
  t.ok(
    kept.some((id) => String(id).startsWith('n39999-')),
    'the last one is there',
  );
  t.notOk(
    kept.some((id) => String(id).startsWith('n0-')),
    'the first one is not',
  );
});

t.test('what is no regular file is passed over, and nothing waits for it', async (t) => {
  const odd = mkdtempSync(join(dir, 'odd-'));
  writeFileSync(join(odd, 'audit.2026-11-30.log'), line(1, 'a'));
  mkdirSync(join(odd, 'audit.2026-11-29.log'));
  execFileSync('mkfifo', [join(odd, 'audit.2026-11-28.log'), join(dir, 'pipe')]);
  for (const [day, target] of [
    ['25', odd],
    ['26', join(dir, 'pipe')],
    ['27', '/dev/zero'],
  ] as const) {
    symlinkSync(target, join(odd, `audit.2026-11-${day}.log`));
  }
  writeFileSync(join(dir, 'elsewhere.log'), line(2, 'b'));
  symlinkSync(join(dir, 'elsewhere.log'), join(odd, 'audit.2026-11-24.log'));
  const tail = new AuditTail(odd);
  tail.look();
  t.strictSame(idsIn(tail), ['b', 'a'], 'a file, and a link to one');
  t.strictSame(
    auditFiles(odd)
      .map((path) => path.slice(-6, -4))
      .toSorted(),
    ['24', '30'],
    'nor by the commands',
  );
});

t.test('a folder that is not there is told', async (t) => {
  t.throws(() => new AuditTail(join(dir, 'gone')).look(), { code: 'ENOENT' });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { EntryReader } from '../../src/audit/reading/entries.ts';
import { filterFrom } from '../../src/cli/audit-log/filter.ts';
import { learnFromAudit } from '../../src/cli/audit-log/learn.ts';
import { queryAudit, tailAudit } from '../../src/cli/audit-log/query.ts';
import { auditStats } from '../../src/cli/audit-log/stats.ts';
import { main } from '../../src/cli/program.ts';
import { cachedModules } from '../support/process/cached-modules.ts';
import { until } from '../support/until.ts';

const NOW = Date.parse('2030-01-01T12:00:00Z');

const entry = (minute: number, more: object = {}): string =>
  `${JSON.stringify({
    ...{ timestamp: new Date(Date.parse('2030-01-01T11:00:00Z') + minute * 60_000).toISOString(), auth_type: 'ApiKey' },
    ...{ result: 'ok', id: `id-${minute}`, tracing_id: `t-${minute}`, key: 'team', operation: 'points.upsert' },
    ...{
      collection: 'docs',
      collections: ['docs'],
      remote: '10.0.0.1',
      status: 200,
      upstream_status: 200,
      duration_ms: 4,
    },
    ...more,
  })}\n`;

const DENIED = { result: 'denied', code: 'write_required', error: 'no', status: 403, upstream_status: null };

/** A folder with the files of two workers. */
function folderOf(t: { testdir: (files: Record<string, string>) => string }): string {
  return t.testdir({
    'audit.2030-01-01-w0.log': `${entry(1)}${entry(3, { ...DENIED, subject: 'ann' })}${entry(5)}`,
    'audit.2030-01-01-w1.log': `${entry(2, { collection: 'logs', collections: ['logs', 'docs'] })}{"half\n${entry(4, { ...DENIED, operation: 'points.delete', key: 'other' })}`,
  });
}

function sink() {
  const said = { out: '', err: '' };
  return {
    said,
    output: {
      out: (text: string) => {
        said.out += text;
      },
      err: (text: string) => {
        said.err += text;
      },
    },
  };
}

t.test('bytes are cut into entries, however they come', async (t) => {
  const text = Buffer.from(`${entry(1, { subject: 'ä' })}no json\n\n${entry(2)}{"rest`);
  for (const size of [1, 7, text.length]) {
    const reader = new EntryReader();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...reader.feed(text.subarray(at, at + size)));
    t.match(found, [{ id: 'id-1', subject: 'ä' }, { id: 'id-2' }], `${size} bytes`);
    t.equal(reader.unread, 1);
  }
});

t.test('a query shows the entries that fit, in the order of time', async (t) => {
  const folder = folderOf(t);
  const cases: readonly (readonly [flags: object, ids: readonly number[]])[] = [
    [{}, [1, 2, 3, 4, 5]],
    [{ result: 'denied' }, [3, 4]],
    [{ code: 'write_*' }, [3, 4]],
    [{ operation: 'points.delete' }, [4]],
    [{ collection: 'docs', key: 'team' }, [1, 2, 3, 5]],
    [{ collection: 'l*' }, [2]],
    [{ subject: 'ann' }, [3]],
    [{ remote: '10.0.0.2' }, []],
    [{ id: 'id-4' }, [4]],
    [{ id: 't-4' }, [4]],
    [{ since: '57m' }, [3, 4, 5]],
    [{ since: '2030-01-01T11:02:00Z', until: '2030-01-01T11:04:00Z' }, [2, 3]],
    [{ limit: '2' }, [4, 5]],
    [{ limit: '0' }, []],
  ];
  for (const [flags, ids] of cases) {
    const { output, said } = sink();
    const { json } = await queryAudit([folder], { limit: '100', ...flags }, output, NOW);
    t.same(
      (json as { id: string }[]).map(({ id }) => id),
      ids.map((id) => `id-${id}`),
      JSON.stringify(flags),
    );
    t.match(said.err, 'note: 1 lines are no entry');
  }
  const { text } = await queryAudit([folder], { limit: '1' }, sink().output, NOW);
  t.match(
    text,
    /^TIME +RESULT +CODE.*\n2030-01-01T11:05:00\.000Z +ok +- +points\.upsert +docs +team +- +10\.0\.0\.1 +200 +4 +id-5\n$/,
  );
  for (const flags of [{ since: 'soon' }, { until: 'x' }])
    t.throws(() => filterFrom(flags, NOW), { code: 'ERR_USAGE' });
  await t.rejects(queryAudit([folder], { limit: 'many' }, sink().output, NOW), { code: 'ERR_USAGE' });
});

t.test('names that callers chose stay on their line', async (t) => {
  const folder = t.testdir({
    'audit.2030-01-01.log': entry(1, { collection: 'a\n\u001b[2Jb\u202e', collections: [] }),
  });
  const { text } = await queryAudit([folder], { limit: '9' }, sink().output, NOW);
  t.equal(text.split('\n').length, 3);
  t.match(text, 'a\\u000a\\u001b[2Jb\\u202e');
});

t.test('statistics count what fits', async (t) => {
  const { text, json } = await auditStats([folderOf(t)], {}, NOW);
  t.match(json, {
    ...{ entries: 5, first: '2030-01-01T11:01:00.000Z', last: '2030-01-01T11:05:00.000Z', unread: 1 },
    by: {
      result: [
        { value: 'ok', count: 3 },
        { value: 'denied', count: 2 },
      ],
      collection: [
        { value: 'docs', count: 5 },
        { value: 'logs', count: 1 },
      ],
    },
  });
  t.match(text, /^5 entries, 2030-01-01T11:01:00\.000Z to .*\nduration: p50 \d(\.\d)? ms/);
  t.notMatch(text, /EVENT/, 'what no entry has is left out');
  t.match(await auditStats([folderOf(t)], { key: 'none' }, NOW), { text: 'no entries\n' });
});

t.test('the smallest policy is learned from what was permitted', async (t) => {
  const { output, said } = sink();
  const { text } = await learnFromAudit([folderOf(t)], {}, output, NOW);
  t.match(said.err, 'learned from 3 requests; 2 entries were refused');
  t.match(text, /^rules:\n/m);
  t.match(text, /collection: "docs", access: "prw" \} # 3 requests/);
  t.notMatch(text, /"other"/, 'a refused caller is not in it');
});

t.test('tail goes on with added lines and new files, and ends with its reader', async (t) => {
  const folder = folderOf(t);
  const ended = new AbortController();
  const { output, said } = sink();
  const flags = { limit: '1', follow: true, key: 'team' };
  const going = tailAudit([folder], flags, { output, now: NOW, json: false, ended: ended.signal });
  await until(() => said.out.includes('id-5'), 'the newest one');
  const line = entry(6);
  appendFileSync(join(folder, 'audit.2030-01-01-w0.log'), line.slice(0, 20));
  appendFileSync(join(folder, 'audit.2030-01-01-w0.log'), line.slice(20));
  writeFileSync(join(folder, 'audit.2030-01-02-w1.log'), `${entry(7)}${entry(8, { key: 'other' })}`);
  await until(() => said.out.includes('id-6') && said.out.includes('id-7'), 'what was added');
  ended.abort();
  await going;
  t.same(said.out.match(/id-\d/g)?.toSorted(), ['id-5', 'id-6', 'id-7'], 'each once, and no other');
});

t.test('the command follows until its reader leaves, without a complaint', async (t) => {
  const folder = folderOf(t);
  const child = spawn(process.execPath, ['src/cli/main.ts', 'audit', 'tail', '--follow', '--json', '-n', '1', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...cachedModules() },
  });
  let err = '';
  child.stderr.on('data', (part: Buffer) => {
    err += part.toString();
  });
  const [first] = await once(child.stdout, 'data');
  t.match(JSON.parse(String(first)), { id: 'id-5' }, 'a line is one entry');
  child.stdout.destroy();
  appendFileSync(join(folder, 'audit.2030-01-01-w0.log'), entry(6));
  t.same([(await once(child, 'close'))[0], err], [0, '']);
});

t.test('mistakes are said', async (t) => {
  const { output, said } = sink();
  t.equal(await main(['audit', 'query', join(t.testdir(), 'none')], output), 2);
  t.match(said.err, /^error: .*is not a readable file/);
  t.equal(await main(['audit', 'query', '--result', 'maybe', '.'], output), 2);
  t.match(said.err, 'Allowed choices are ok, denied');
});

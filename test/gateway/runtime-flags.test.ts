import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const FLAGS = fileURLToPath(new URL('../../src/gateway/runtime-flags.ts', import.meta.url));

t.test('this V8 knows every flag that is set', async (t) => {
  const script = `import { setRuntimeFlags } from ${JSON.stringify(FLAGS)}; setRuntimeFlags();`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  t.same([status, stderr], [0, '']);
});

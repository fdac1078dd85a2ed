import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

/** The page of the API, against the exports of the package. Its example is compiled and run in `installed.test.ts`. */
const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/reference/api.md'), 'utf8');

/** Names that a module exports by lists, as they are seen from outside. */
function exported(text: string): readonly string[] {
  const lists = [...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list = '']) => list.split(','));
  const names = lists.map(
    (one) =>
      one
        .trim()
        .replace(/^type /, '')
        .split(' as ')
        .at(-1) ?? '',
  );
  return names.filter((name) => name !== '').sort();
}

/** Names in the first column of the tables. */
const documented = [...page.matchAll(/^\| `(\w+)(?=[`(])/gm)].map(([, name = '']) => name).sort();

t.test('every export has a row, and every row an export', async (t) => {
  t.strictSame(exported("export { type A, b as c } from './a.ts';\nexport type { D } from './d.ts';"), ['A', 'D', 'c']);
  t.strictSame(documented, exported(readFileSync(join(ROOT, 'src/index.ts'), 'utf8')));
});

/** Fields and methods of an exported interface. */
function membersOf(file: string, name: string): readonly string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const [, body = ''] = new RegExp(`export interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`).exec(text) ?? [];
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, member = '']) => member);
}

t.test('each member of the types is on the page', async (t) => {
  const source = 'src/supervisor/embedded.ts';
  const members = ['GatewaySources', 'Addresses', 'EmbeddedGateway'].flatMap((name) => membersOf(source, name));
  t.strictSame(
    members,
    ['defaults', 'config', 'env', 'cwd', 'rest', 'grpc', 'admin', 'warnings', 'start', 'reload', 'stop'],
    'members are found',
  );
  t.strictSame(
    members.filter((member) => !page.includes(`\`${member}\``) && !page.includes(`\`gateway.${member}(`)),
    [],
  );
});

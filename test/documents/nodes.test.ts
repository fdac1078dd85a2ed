import { readFileSync } from 'node:fs';
import t from 'tap';
import { grpcNodesTable, restNodesTable } from '../support/nodes-document.ts';

t.test('the page of nodes has a row for every route and method, as the operations say', async (t) => {
  const page = readFileSync(new URL('../../docs/reference/nodes.md', import.meta.url), 'utf8');
  t.ok(
    page.includes(`\n${restNodesTable()}\n`),
    'REST: write it anew with `node setup.mjs test/support/nodes-document.ts`',
  );
  t.ok(page.includes(`\n${grpcNodesTable()}\n`), 'gRPC: the same');
});

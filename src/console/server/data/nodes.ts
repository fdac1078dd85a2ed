import { askedNode, NODE_REFUSALS } from '../../../observability/asked-change.ts';
import type { DataRow } from './row.ts';

const change = (name: 'drain' | 'undrain'): DataRow => ({
  method: 'POST',
  name: `nodes/${name}`,
  role: 'full',
  answer: async ({ source, body, act }) => {
    const asked = { method: `gateway_node_${name}`, ...askedNode(body) } as const;
    const changed = await source.drainNode(body, name === 'drain').catch((error: unknown) => {
      act({ ...asked, result: 'failed' });
      throw error;
    });
    act({ ...asked, result: changed.ok ? 'ok' : 'failed' });
    return changed.ok
      ? { status: 200, body: changed }
      : { status: NODE_REFUSALS[changed.why], body: { problems: changed.problems } };
  },
});

/** Nodes of the page Overview, taken out and in. */
export const nodeRows: readonly DataRow[] = [change('drain'), change('undrain')];

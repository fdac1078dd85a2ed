import { brotliCompressSync } from 'node:zlib';
import { PAGE, SCRIPT, WORKER } from './dashboard-page.ts';
import type { OnRest } from './fake-qdrant/rest.ts';

const FILES: Readonly<Record<string, readonly [type: string, content: string]>> = {
  '/dashboard': ['text/html; charset=utf-8', PAGE],
  '/dashboard/index.html': ['text/html; charset=utf-8', PAGE],
  '/dashboard/assets/index-Bx12.js': ['text/javascript; charset=utf-8', SCRIPT],
  '/dashboard/assets/worker-Cy34.js': ['text/javascript; charset=utf-8', WORKER],
  '/dashboard/manifest.json': ['application/json', '{"name":"Qdrant Web UI"}'],
  '/dashboard/openapi.json': ['application/json', '{"openapi":"3.0.1","info":{"version":"v1.18.3"},"paths":{}}'],
};

export interface DashboardOptions {
  /** Whether upstream says `X-Frame-Options: DENY` itself, as it does since Qdrant v1.10. Default true. */
  readonly deniesFraming?: boolean;
}

/**
 * The stub of the web interface as upstream serves it: files with an etag, compressed where the client takes that,
 * everything else below `/dashboard` 404. Other requests are left to the stand-in.
 */
export function serveDashboard({ deniesFraming = true }: DashboardOptions = {}): OnRest {
  return (request, response) => {
    const [path = ''] = (request.url ?? '').split('?', 1);
    if (path !== '/dashboard' && !path.startsWith('/dashboard/')) return false;
    if (deniesFraming) response.setHeader('x-frame-options', 'DENY');
    const file = FILES[path];
    if (!file) {
      response.writeHead(404).end();
      return true;
    }
    const [type, content] = file;
    const etag = `"${content.length.toString(16)}"`;
    response.setHeader('etag', etag);
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return true;
    }
    const coded = /\bbr\b/.test(request.headers['accept-encoding'] ?? '');
    if (coded) response.setHeader('content-encoding', 'br');
    response.writeHead(200, { 'content-type': type }).end(coded ? brotliCompressSync(content) : content);
    return true;
  };
}

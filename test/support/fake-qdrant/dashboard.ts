import type { RestAnswer } from './routing.ts';

const page = '<!doctype html><html><head><title>Qdrant Web UI</title></head><body><div id="root"></div></body></html>';
const script = 'export {};\n';

const files: Record<string, { type: string; content: string }> = {
  '': { type: 'text/html; charset=utf-8', content: page },
  'index.html': { type: 'text/html; charset=utf-8', content: page },
  'assets/x.js': { type: 'text/javascript; charset=utf-8', content: script },
};

/** Serves the few files of the pretended web page; segments are those behind /dashboard, decoded. */
export function dashboardAnswer(method: string, segments: string[]): RestAnswer {
  const headers = { 'x-frame-options': 'DENY' };
  const text = (status: number, body: string): RestAnswer => ({
    status,
    type: 'text/plain; charset=utf-8',
    body,
    headers,
  });
  if (method !== 'GET' && method !== 'HEAD') {
    return text(405, "Request did not meet this resource's requirements.");
  }
  const path: string[] = [];
  for (const segment of segments) {
    if (segment === '..') {
      path.pop();
    } else if (segment.includes('/')) {
      return text(400, "segment contained invalid character ('/')");
    } else if (segment.startsWith('.') || segment.startsWith('*')) {
      return text(400, `segment started with invalid character: ('${segment[0]}')`);
    } else {
      path.push(segment);
    }
  }
  const name = path.join('/');
  const file = Object.hasOwn(files, name) ? files[name] : undefined;
  if (file === undefined) {
    return { status: 404, body: '', headers };
  }
  const found = { ...headers, etag: '"1:2:3:4"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' };
  return { status: 200, type: file.type, body: file.content, headers: found };
}

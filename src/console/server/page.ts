import type { ConsoleAnswer } from '../../exchange/console-request.ts';
import { SAFE_HEADERS } from './answers.ts';
import type { Assets } from './assets.ts';

/** The page: it holds no data, and needs no session. Its modules ask for both. */
export function pageOf({ styles, main }: Pick<Assets, 'styles' | 'main'>): ConsoleAnswer {
  const links = styles.map((path) => `<link rel="stylesheet" href="${path}">`).join('\n');
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>Qdrant gateway console</title>
<link rel="icon" href="data:,">
${links}
<script type="module" src="${main}"></script>
</head>
<body>
<div id="app"></div>
<noscript>The console needs JavaScript.</noscript>
</body>
</html>
`;
  return {
    status: 200,
    headers: [...SAFE_HEADERS, 'cache-control', 'no-cache', 'content-type', 'text/html; charset=utf-8'],
    body: html,
  };
}

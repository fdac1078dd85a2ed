/**
 * A stub of the web interface: no more than its requests, in the order and with the headers of the real one (web-ui
 * 0.2.13), and what it concludes from the answers written into the page.
 */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Qdrant Web UI</title>
<link rel="icon" href="/dashboard/favicon.ico"><link rel="manifest" href="/dashboard/manifest.json">
<script type="module" src="/dashboard/assets/index-Bx12.js"></script>
</head>
<body>
<nav><a id="access-tokens" href="#/jwt">Access Tokens</a></nav>
<form id="dialog" hidden><label>API key <input id="key"></label><button id="apply">Apply</button></form>
<p id="refusal"></p><p id="cloud"></p><p id="banner"></p><p id="openapi"></p><p id="worker"></p>
<ul id="collections"></ul><ul id="aliases"></ul>
<form id="mint" hidden><textarea id="claims"></textarea><button id="create">Create</button><output id="token"></output></form>
</body>
</html>
`;

/** The script of the page. `globalThis.ui` is for tests: \`api\`, \`mint\` and \`upload\`. */
export const SCRIPT = `
const byId = (id) => document.getElementById(id);
const settings = JSON.parse(localStorage.getItem('settings') ?? '{}');

async function api(method, path, body, apiKey = settings.apiKey) {
  const headers = { 'x-inference-proxy': 'true' };
  if (apiKey) headers['api-key'] = apiKey;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const init = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
  const answer = await fetch(path, init);
  const text = await answer.text();
  try {
    return { status: answer.status, data: JSON.parse(text) };
  } catch {
    return { status: answer.status, data: text };
  }
}

const encode = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

async function mint(claims) {
  if (!isSecureContext) throw new Error('no secure context');
  const bytes = (text) => new TextEncoder().encode(text);
  const text = encode(bytes('{"alg":"HS256"}')) + '.' + encode(bytes(JSON.stringify(claims)));
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', bytes(settings.apiKey), algorithm, false, ['sign']);
  return text + '.' + encode(new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes(text))));
}

function upload(path, size) {
  return new Promise((resolve) => {
    const form = new FormData();
    form.append('snapshot', new Blob([new Uint8Array(size)]), 'a.snapshot');
    const request = new XMLHttpRequest();
    let progressed = 0;
    request.upload.onprogress = ({ loaded }) => { progressed = loaded; };
    request.onloadend = () => resolve({ status: request.status, text: request.responseText, progressed });
    request.open('POST', path);
    request.setRequestHeader('api-key', settings.apiKey ?? '');
    request.send(form);
  });
}

function listInto(list, names) {
  list.replaceChildren(...names.map((name) => Object.assign(document.createElement('li'), { textContent: name })));
}

async function telemetry() {
  const { status, data } = await api('GET', '/telemetry');
  if (status === 401 || status === 403) {
    byId('refusal').textContent = status + ' ' + (typeof data === 'string' ? data : data.status.error);
    byId('dialog').hidden = false;
    return;
  }
  const app = data?.result?.app ?? {};
  const item = byId('access-tokens');
  if (app.hide_jwt_dashboard) item.remove();
  else item.className = app.jwt_rbac ? 'enabled' : 'greyed';
}

async function showList() {
  const [collections, aliases] = await Promise.all([api('GET', '/collections'), api('GET', '/aliases')]);
  const names = (collections.data?.result?.collections ?? []).map(({ name }) => name).sort();
  const details = await Promise.all(names.map((name) => api('GET', '/collections/' + encodeURIComponent(name))));
  listInto(byId('collections'), names.map((name, i) => name + ' ' + details[i].data.result.status));
  listInto(byId('aliases'), (aliases.data?.result?.aliases ?? []).map(({ alias_name }) => alias_name).sort());
}

async function showRoute() {
  document.body.dataset.route = 'loading';
  const route = location.hash.slice(1) || '/';
  byId('mint').hidden = route !== '/jwt';
  if (route === '/') {
    await api('GET', '/collections');
    location.hash = '#/collections';
    return;
  }
  if (route === '/collections') await showList();
  if (route === '/jwt') await Promise.all([api('GET', '/collections'), api('GET', '/collections')]);
  document.body.dataset.route = route;
}

byId('dialog').addEventListener('submit', (event) => {
  event.preventDefault();
  localStorage.setItem('settings', JSON.stringify({ apiKey: byId('key').value }));
  location.reload();
});
byId('mint').addEventListener('submit', async (event) => {
  event.preventDefault();
  byId('token').textContent = await mint(JSON.parse(byId('claims').value));
});
addEventListener('hashchange', showRoute);
globalThis.ui = { api, mint, upload };

async function cloud() {
  byId('cloud').textContent = String((await api('GET', '/dashboard/cloud/data.json')).status);
}
async function banner() {
  const found = await fetch('https://qdrant.tech/web-ui-info.json').catch(() => undefined);
  byId('banner').textContent = found ? 'banner' : 'no banner';
}
async function openapi() {
  const { info } = await (await fetch('/dashboard/openapi.json')).json();
  byId('openapi').textContent = info.version;
}
function worker() {
  return new Promise((resolve) => {
    const started = new Worker('/dashboard/assets/worker-Cy34.js', { type: 'module' });
    started.onmessage = ({ data }) => resolve((byId('worker').textContent = data));
  });
}
await Promise.all([telemetry(), cloud(), banner(), openapi(), worker(), showRoute()]);
document.body.dataset.ready = 'yes';
`;

/** The module worker of the page. */
export const WORKER = `postMessage('worker runs');\n`;

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../until.ts';
import { findProgram } from './programs.ts';
import { freePort } from './redis.ts';

/** A balancer before both ports of a gateway. */
export interface Balancer {
  readonly ports: { readonly rest: number; readonly grpc: number };
  readonly close: () => Promise<void>;
}

/** Two ports of loopback: those of a balancer, or those behind it. */
export interface Ports {
  readonly rest: number;
  readonly grpc: number;
}

/** Text of the configuration: it listens on the first ports and passes on to the second. */
export type Settings = (own: Ports, gateway: Ports, folder: string) => string;

const SBIN = ['/usr/sbin', '/sbin'];
const haproxy =
  findProgram('haproxy', SBIN) ?? SBIN.map((folder) => `${folder}/haproxy`).find((path) => existsSync(path));
const nginx = findProgram('nginx', SBIN) ?? SBIN.map((folder) => `${folder}/nginx`).find((path) => existsSync(path));
const STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** The reason why a balancer cannot be tested with; `false` = it can. */
export const NO_HAPROXY: string | false = haproxy === undefined && 'haproxy is not installed';
export const NO_NGINX: string | false =
  (nginx === undefined && 'nginx is not installed') || (!existsSync(STREAM) && 'nginx has no stream module');

/** HAProxy. @param mode `tcp` or `http` @param send options of each server, for example `send-proxy-v2` */
export function startHaproxy(gateway: Ports, mode: 'tcp' | 'http', send: string): Promise<Balancer> {
  const part = (name: string, own: number, behind: number): string =>
    [
      `listen ${name}`,
      `  bind 127.0.0.1:${own}`,
      mode === 'http' ? '  option forwardfor' : '',
      `  server gateway 127.0.0.1:${behind} ${send}`,
    ].join('\n');
  const text = (own: Ports): string =>
    [
      `defaults\n  mode ${mode}\n  timeout connect 30s\n  timeout client 60s\n  timeout server 60s`,
      part('rest', own.rest, gateway.rest),
      mode === 'http' ? '' : part('grpc', own.grpc, gateway.grpc),
      '',
    ].join('\n');
  return start((folder) => [haproxy ?? '', '-db', '-f', join(folder, 'conf')], text);
}

/** nginx. @param kind `stream` sends PROXY headers, `http` adds `x-forwarded-for` (to REST only) */
export function startNginx(gateway: Ports, kind: 'stream' | 'http'): Promise<Balancer> {
  const server = (own: number, behind: number): string =>
    kind === 'stream'
      ? `server { listen 127.0.0.1:${own}; proxy_pass 127.0.0.1:${behind}; proxy_protocol on; }`
      : `server { listen 127.0.0.1:${own}; location / { proxy_pass http://127.0.0.1:${behind}; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }`;
  const text = (own: Ports, folder: string): string => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(folder, name)};`,
    );
    return [
      `daemon off; worker_processes 1; pid ${join(folder, 'pid')}; error_log ${join(folder, 'error')};`,
      kind === 'stream' ? `load_module ${STREAM};` : '',
      'events { worker_connections 64; }',
      `${kind} {`,
      ...(kind === 'http' ? ['access_log off;', ...temporary] : []),
      server(own.rest, gateway.rest),
      kind === 'stream' ? server(own.grpc, gateway.grpc) : '',
      '}',
      '',
    ].join('\n');
  };
  return start((folder) => [nginx ?? '', '-p', folder, '-e', join(folder, 'error'), '-c', join(folder, 'conf')], text);
}

async function start(
  commandOf: (folder: string) => readonly string[],
  text: (own: Ports, folder: string) => string,
): Promise<Balancer> {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-balancer-'));
  const ports = { rest: await freePort(), grpc: await freePort() };
  writeFileSync(join(folder, 'conf'), text(ports, folder));
  const [command = '', ...args] = commandOf(folder);
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const close = async (): Promise<void> => {
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(() => answers(ports.rest), `${command} listens`);
  } catch (error) {
    await close();
    throw error;
  }
  return { ports, close };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'close');
  // SIGTERM lets nginx end its workers, which SIGKILL would leave behind.
  child.kill('SIGTERM');
  await gone;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

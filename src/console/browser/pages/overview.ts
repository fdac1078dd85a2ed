import type { VNode } from 'preact';
import type { Overview as Data, EndDate } from '../../api/overview.ts';
import type { PageProps } from '../place.ts';
import { chart } from '../view/chart.ts';
import { type Child, el, use } from '../view/dom.ts';
import { useAsked } from '../view/hooks.ts';
import { badge, card, empty, facts, loading, notice, pageHead, problemsBox, type Tone } from '../view/parts.ts';
import { table } from '../view/tables.ts';
import { away, clock, count, duration, span } from '../view/times.ts';
import { Nodes } from './nodes.ts';

const EVERY_MS = 5000;
const DAY_MS = 86_400_000;
/** An end within so many days is marked. */
const SOON_DAYS = 14;

/** The state of the gateway, its requests, and the dates on which something ends. */
export function Overview({ session }: PageProps): VNode {
  const { value, problems, again } = useAsked<Data>('overview', EVERY_MS);
  return el(
    'div',
    { class: 'stack' },
    pageHead(
      'Overview',
      'Whether the gateway works, what it lets through and refuses, and what ends soon.',
      value && state(value),
    ),
    problemsBox(problems, again),
    value
      ? shown(value, session.role === 'full', again)
      : problems.length === 0 && card(undefined, loading('the overview', 5)),
  );
}

function state({ protecting, draining, mode }: Data): VNode {
  if (draining) return badge('warn', 'Draining: clients are asked to move');
  if (protecting) return badge('good', 'Protecting');
  return badge('bad', mode === 'enforce' ? 'Not protecting: no key is set' : `Not refusing: mode ${mode}`);
}

function shown(data: Data, mayChange: boolean, again: () => void): Child {
  const { totals, samples, upstream, connections } = data;
  const rate = Object.values(samples.rates).reduce((sum, values) => sum + (values.at(-1) ?? 0), 0);
  const all = sumOf(totals);
  const isUp = upstream.rest && upstream.grpc !== false;
  return [
    remarks(data),
    el(
      'div',
      { class: 'figures' },
      figure('Requests a second', samples.at.length === 0 ? '–' : rateText(rate), `${count(all)} since the start`),
      figure(
        'Refused',
        count(totals.denied),
        totals.fault > 0 ? `and ${count(totals.fault)} failed` : share(totals.denied, all),
      ),
      figure(
        'Time in the gateway',
        duration(newest(samples.gateway_p50)),
        `99 % within ${duration(newest(samples.gateway_p99))}`,
      ),
      figure(
        'Connections',
        count(connections.rest + connections.grpc),
        `${count(connections.rest)} REST, ${count(connections.grpc)} gRPC`,
      ),
      figure(
        'Qdrant',
        isUp ? 'Up' : 'Down',
        upstream.version === null ? 'release unknown' : `release ${upstream.version}`,
        !isUp,
      ),
    ),
    el('div', { class: 'two' }, requestChart(data), latencyChart(data)),
    el('div', { class: 'two' }, dates(data), aboutCard(data)),
    data.nodes && use(Nodes, { nodes: data.nodes, absent: data.drained_and_absent, mayChange, again }),
  ];
}

function newest(values: readonly (number | null)[]): number | null {
  return values.findLast((value) => value !== null) ?? null;
}

function remarks({ upstream, last_reload: reload, revocations_unknown: unknown }: Data): Child {
  return [
    !upstream.rest && notice('warn', 'Qdrant does not answer over REST. Requests get an error until it does.'),
    upstream.grpc === false && notice('warn', 'Qdrant does not answer over gRPC.'),
    upstream.key === 'refused' &&
      notice('warn', 'Qdrant refuses the key of the gateway: check gateway.upstream.api_key.'),
    unknown &&
      notice(
        'warn',
        'The revocations are unknown, so that every token is refused. The log says which source cannot be read.',
      ),
    reload &&
      !reload.ok &&
      notice('warn', `The last reload failed; the state before it stays in force: ${reload.problems.join('; ')}`),
  ];
}

function figure(label: string, value: string, more: string, bad = false): VNode {
  return el(
    'div',
    { class: bad ? 'figure bad' : 'figure' },
    el('div', { class: 'label' }, label),
    el('div', { class: 'value' }, value),
    el('div', { class: 'more' }, more),
  );
}

function sumOf(totals: Data['totals']): number {
  return Object.values(totals).reduce((sum, one) => sum + one, 0);
}

function share(part: number, whole: number): string {
  return whole === 0 ? 'no requests yet' : `${((100 * part) / whole).toFixed(1)} % since the start`;
}

function rateText(rate: number | null): string {
  if (rate === null) return '–';
  return rate >= 100 ? count(rate) : rate.toFixed(rate >= 10 || rate === 0 ? 0 : 1);
}

function requestChart({ samples }: Data): VNode {
  if (samples.at.length < 2) return card('Requests a second', waiting());
  const { permit, denied, would_deny: shadowed, fault } = samples.rates;
  const now = (values: readonly number[]): string => rateText(values.at(-1) ?? 0);
  return card(
    'Requests a second',
    chart({
      told: `Requests a second over the last minutes. Now: ${now(permit)} allowed, ${now(denied)} refused, ${now(fault)} failed.`,
      at: samples.at,
      shown: rateText,
      least: 1,
      lines: [
        { label: 'allowed', colour: 1, values: permit, fill: true },
        { label: 'refused', colour: 2, values: denied, fill: true },
        { label: 'refused in shadow only', colour: 4, values: shadowed },
        { label: 'failed', colour: 3, values: fault },
      ],
    }),
  );
}

function latencyChart({ samples }: Data): VNode {
  if (samples.at.length < 2) return card('Time of a request', waiting());
  const now = `gateway ${duration(newest(samples.gateway_p50))}, Qdrant ${duration(newest(samples.upstream_p50))}`;
  return card(
    'Time of a request',
    chart({
      told: `Time in the gateway and in Qdrant over the last minutes. Now, at the median: ${now}.`,
      at: samples.at,
      shown: duration,
      least: 1,
      lines: [
        { label: 'gateway, median', colour: 1, values: samples.gateway_p50 },
        { label: 'gateway, 99 %', colour: 3, values: samples.gateway_p99 },
        { label: 'Qdrant, median', colour: 4, values: samples.upstream_p50 },
        { label: 'Qdrant, 99 %', colour: 5, values: samples.upstream_p99 },
      ],
    }),
  );
}

function waiting(): VNode {
  return empty(
    'The first points are coming',
    'The last 30 minutes are kept, from the moment this page is first opened.',
  );
}

function dates({ dates: all, now }: Data): VNode {
  if (all.length === 0) {
    return card(
      'Next to end',
      empty('Nothing ends', 'Neither certificates nor named keys with an end are configured.'),
    );
  }
  const rows = all.map((one) => [
    one.kind === 'key' ? `key ${one.name}` : one.name,
    el('span', { title: clock(one.ends_at) }, badge(toneOf(one, now), away(one.ends_at, Date.parse(now)))),
  ]);
  return card('Next to end', table(['Ends', 'When'], rows));
}

function toneOf({ ends_at: end }: EndDate, now: string): Tone {
  const left = Date.parse(end) - Date.parse(now);
  if (left < 0) return 'bad';
  return left < SOON_DAYS * DAY_MS ? 'warn' : 'good';
}

function aboutCard({ version, uptime_seconds: uptime, mode, last_reload: reload, revocations, upstream }: Data): VNode {
  return card(
    'This gateway',
    facts([
      ['Release', version],
      ['Running for', span(uptime)],
      ['Mode', mode],
      ['Revocations', `${count(revocations)} in force`],
      ['Last reload', reload ? `${reload.ok ? 'ok' : 'failed'}, ${away(reload.at)}` : 'none since the start'],
      ['gRPC', upstream.grpc === null ? 'off' : upstream.grpc ? 'up' : 'down'],
    ]),
  );
}

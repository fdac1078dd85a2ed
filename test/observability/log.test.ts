import t from 'tap';
import { type Exchange, unbegun } from '../../src/exchange/exchange.ts';
import { OPEN_PRINCIPAL } from '../../src/identity/key-ring.ts';
import { createClientFaultLog, createExchangeLog } from '../../src/observability/exchange-log.ts';
import { createLog, createThrottle, describeFault, type LogLevel } from '../../src/observability/log.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { GLOBAL_REQUIRED, KEY_EXPIRED, MISSING_CREDENTIAL } from '../../src/policy/denial.ts';
import { NO_TARGET, type Operation } from '../../src/policy/operation.ts';

t.test('no more lines a second than allowed, and none is forgotten', async (t) => {
  let now = 1000;
  const mayLog = createThrottle(2, () => now);
  t.same([mayLog(), mayLog(), mayLog(), mayLog()], [0, 0, undefined, undefined]);
  now = 2000;
  t.same([mayLog(), mayLog(), mayLog()], [2, 0, undefined]);
});

t.test('of an error only its class, code and place are logged, never its message', async (t) => {
  const error = Object.assign(new TypeError('bad token eyJhbGciOi'), { code: 'ERR_X' });
  const described = describeFault(error);
  t.match(described, { fault: 'TypeError', code: 'ERR_X' });
  t.notMatch(JSON.stringify(described), /eyJ/);
  t.same(describeFault('eyJ'), { fault: 'string' });
});

t.test('each refused exchange has a line, at trace each one; none names a credential', async (t) => {
  const principal = { ...OPEN_PRINCIPAL, keyId: 'api_key' };
  const resolution = { operation: REST_OPERATIONS[0] as Operation, target: NO_TARGET };
  const exchange = (more: Partial<Exchange>): Exchange => ({
    protocol: 'rest',
    requestTarget: '/',
    headers: ['api-key', 'secret-0123456789'],
    remote: '10.0.0.1',
    resolution,
    principal,
    ...unbegun(),
    hasBody: false,
    ...more,
  });
  const TEAM = { id: 'team', name: 'Team', owner: undefined };
  const cases = [
    ['passed', exchange({}), 200],
    ['refused', exchange({ principal: undefined, refusal: MISSING_CREDENTIAL }), 401],
    ['refused', exchange({ principal: undefined, refusal: { ...KEY_EXPIRED, key: TEAM } }), 403],
    ['would be refused', exchange({ shadowed: { rule: 'no-writes', denial: GLOBAL_REQUIRED } }), 200],
  ] as const;
  const linesAt = (level: LogLevel) => {
    let text = '';
    const observe = createExchangeLog(createLog(level, { destination: { write: (line) => (text += line) } }), () => {});
    for (const [, one, status] of cases) observe(one, { status, received: 0, sent: 0 });
    t.notMatch(text, /secret/);
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => ({ ...JSON.parse(line), time: 0, tracing_id: '' }));
  };
  const common = { time: 0, protocol: 'rest', operation: 'service.root', remote: '10.0.0.1', tracing_id: '' };
  const lines = (level: string) => [
    { ...common, level, code: 'missing_credential', status: 401, msg: 'refused' },
    { ...common, level, code: 'key_expired', key: 'team', key_name: 'Team', status: 403, msg: 'refused' },
    {
      ...common,
      level,
      code: 'global_required',
      rule: 'no-writes',
      key: 'api_key',
      status: 200,
      msg: 'would be refused',
    },
  ];
  const passed = { ...common, level: 'trace', key: 'api_key', status: 200, msg: 'passed' };
  t.same(linesAt('trace'), [passed, ...lines('debug')]);
  t.same(linesAt('debug'), lines('debug'));
  t.same(linesAt('info'), lines('info'));
  t.same(linesAt('warn'), []);
});

t.test('a client fault is a line with its code at debug, and none above', async (t) => {
  let text = '';
  const at = (level: LogLevel): void => {
    createClientFaultLog(createLog(level, { destination: { write: (line) => (text += line) } }), 'grpc')('not_http2');
  };
  at('info');
  t.equal(text, '');
  at('debug');
  t.match(JSON.parse(text), { level: 'debug', protocol: 'grpc', code: 'not_http2', msg: 'client fault' });
});

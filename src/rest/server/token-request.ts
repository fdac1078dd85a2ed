import { requestIdOf } from '../../exchange/request-id.ts';
import { errorAnswer, FORM_TOO_LARGE, MAX_FORM_BYTES, type TokenAnswer } from '../../token-endpoint/answers.ts';
import { TOKEN_PATH, type TokenEndpoint } from '../../token-endpoint/endpoint.ts';
import { readBody } from '../body/read-body.ts';
import { corsHeaders } from '../cors.ts';
import type { RestExchange } from '../exchange.ts';
import type { LaneContext } from '../options.ts';
import { answerWhole } from '../reject.ts';
import { toOriginForm } from '../request-target.ts';
import { bodyIdleOf } from '../time-limits.ts';

/** True = the request is for the token endpoint, and that is on. Only the plain path: another spelling is an unknown route. */
export function isTokenRequest(
  { requestTarget }: Pick<RestExchange, 'requestTarget'>,
  { tokens }: { readonly tokens?: TokenEndpoint },
): boolean {
  if (!tokens?.isOn('rest')) return false;
  const target = toOriginForm(requestTarget);
  return target === TOKEN_PATH || target.startsWith(`${TOKEN_PATH}?`);
}

/** Answers a request for a token. */
export function answerTokenRequest(exchange: RestExchange, context: LaneContext): void {
  const { tokens, limits, budget, parts } = context;
  if (!tokens) throw new TypeError('there is no token endpoint');
  const { method, headers, remote } = exchange;
  const head = { method, headers, hasQuery: exchange.requestTarget.includes('?') };
  const early = tokens.early(head);
  if (early) {
    send(exchange, context, early);
    return;
  }
  const reading = { maxBytes: MAX_FORM_BYTES, idleMs: bodyIdleOf(exchange, limits.body_idle_timeout_ms), budget };
  readBody(exchange, reading, (body) => {
    if ('kind' in body) {
      send(exchange, context, body.code === 'body_too_large' ? errorAnswer(FORM_TOO_LARGE) : unread(body));
      return;
    }
    const lent = body.lend();
    const whole = Buffer.from(lent);
    body.giveBack(lent);
    body.release();
    const request = { ...head, remote, tracingId: requestIdOf(exchange), port: 'rest', body: whole } as const;
    exchange.guard.settled(tokens.answer(request, exchange.certificate), (answer) => {
      // Guessing is as slow as with requests.
      const wait = answer.status === 400 ? parts.refusals.guessed(exchange) : 0;
      const answered = exchange.guard.entry(() => send(exchange, context, answer));
      if (wait > 0) parts.refusals.hold(exchange, wait, answered);
      else answered();
    });
  });
}

function unread({ status, message }: { readonly status: number; readonly message: string }): TokenAnswer {
  return errorAnswer({ error: 'invalid_request', description: message, status });
}

function send(exchange: RestExchange, { cors }: LaneContext, { status, headers, body }: TokenAnswer): void {
  const all = [...headers, 'x-request-id', requestIdOf(exchange), ...corsHeaders(exchange.headers, cors)];
  answerWhole(exchange, status, all, Buffer.from(body));
}

import type { UpstreamCredential } from '../../upstream/credential.ts';
import { isSuspect } from '../../upstream/refused-key.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { SuspectAnswer } from '../response/suspect-answer.ts';
import type { RelayExchange } from './exchange.ts';

/** The exchange that takes the note. */
type NotedRequest = Pick<RelayExchange, 'refusedThere'>;

type OnAnswer = (head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean) => void;

/**
 * The answers of one upstream connection on their way to the client. Those that refuse the gateway's own credential are not
 * passed on; of those that refuse the caller's, the exchange takes a note.
 */
export class JudgedAnswers {
  readonly #pass: OnAnswer;
  readonly #refused: () => void;
  readonly #framed: boolean;
  #request: NotedRequest | undefined;
  #kind: UpstreamCredential['kind'] = 'none';
  #held: { readonly head: AnswerHead; readonly answer: SuspectAnswer } | undefined;

  /**
   * @param refused ends the request: upstream refuses the gateway's credential
   * @param framed bodies of unknown length come as chunks of HTTP/1.1
   */
  constructor(pass: OnAnswer, refused: () => void, framed: boolean) {
    this.#pass = pass;
    this.#refused = refused;
    this.#framed = framed;
  }

  /** A request is sent with this credential; its answer follows. */
  expect(request: NotedRequest, { kind }: UpstreamCredential): void {
    this.#request = request;
    this.#kind = kind;
    this.#held = undefined;
  }

  /** Takes a piece of the answer, as `AnswerSink.onAnswer`. */
  readonly take: OnAnswer = (head, parts, data, ended) => {
    if (this.#held === undefined && (head === undefined || !isSuspect(head.status))) {
      this.#pass(head, parts, data, ended);
    } else {
      this.#judge(head, parts, data, ended);
    }
  };

  #judge(first: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean): void {
    const held = this.#held ?? (first && this.#hold(first));
    if (!held) return;
    const { head, answer } = held;
    answer.add(parts, data);
    if (!ended && !answer.isClear) return;
    this.#held = undefined;
    if (answer.refuses) {
      if (this.#kind !== 'callers') {
        this.#refused();
        return;
      }
      if (this.#request) this.#request.refusedThere = true;
    }
    this.#pass(head, answer.parts, answer.data, ended);
  }

  #hold(head: AnswerHead) {
    const chunked = head.framing === 'chunked' || head.framing === 'close';
    this.#held = { head, answer: new SuspectAnswer(head.status, head.headers, this.#framed && chunked) };
    return this.#held;
  }
}

/** One answer as it stood on the wire. */
export interface ReadAnswer {
  readonly status: number;
  /** It says that it is the last on its connection. */
  readonly close: boolean;
  readonly body: string;
}

/** Reads the answers of one HTTP/1.1 connection, in any pieces; of requests that are no HEAD. Throws for what is none. */
export class AnswerReader {
  readonly answers: ReadAnswer[] = [];
  #bytes: Buffer = Buffer.alloc(0);

  /** The last answer says that it is the last. */
  get last(): boolean {
    return this.answers.at(-1)?.close === true;
  }

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    while (this.#take());
  }

  /** All of them. Throws when a part of one is left. */
  whole(): readonly ReadAnswer[] {
    if (this.#bytes.length > 0) throw new Error(`half an answer: ${this.#bytes.toString('latin1', 0, 200)}`);
    return this.answers;
  }

  #take(): boolean {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#bytes.toString('latin1', 0, end).toLowerCase();
    const status = Number(/^http\/1\.1 (\d{3}) /.exec(`${head} `)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) throw new Error(`no answer: ${head.slice(0, 200)}`);
    if (status < 200) {
      this.#bytes = this.#bytes.subarray(end + 4);
      return this.#bytes.length > 0;
    }
    const body = /\r\ntransfer-encoding: chunked/.test(head) ? this.#chunked(end + 4) : this.#sized(head, end + 4);
    if (!body) return false;
    this.#bytes = this.#bytes.subarray(body.next);
    this.answers.push({ status, close: /\r\nconnection: close/.test(head), body: body.text });
    return this.#bytes.length > 0;
  }

  #sized(head: string, from: number): { readonly text: string; readonly next: number } | undefined {
    const next = from + Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
    return this.#bytes.length < next ? undefined : { text: this.#bytes.toString('utf8', from, next), next };
  }

  #chunked(from: number): { readonly text: string; readonly next: number } | undefined {
    let text = '';
    for (let at = from; ; ) {
      const line = this.#bytes.indexOf('\r\n', at);
      if (line < 0) return undefined;
      const size = Number.parseInt(this.#bytes.toString('latin1', at, line), 16);
      const next = line + 2 + size + 2;
      if (this.#bytes.length < next) return undefined;
      if (size === 0) return { text, next };
      text += this.#bytes.toString('utf8', line + 2, line + 2 + size);
      at = next;
    }
  }
}

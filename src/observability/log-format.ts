import { isatty, WriteStream } from 'node:tty';
import { jsonLine, printable } from '../text/printable.ts';

/** Form of log lines: `auto` is pretty on a terminal, JSON elsewhere. */
export type LogFormat = 'auto' | 'pretty' | 'json';

const STDERR = 2;
/** Column of the fields, counted from the message. */
const MESSAGE_WIDTH = 32;
const RESET = '\u001b[0m';
const DIM = '\u001b[2m';
/** ANSI colours of the level words. */
const COLOURS: Readonly<Record<string, string>> = {
  trace: '\u001b[2m',
  debug: '\u001b[36m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};

/** Turns a line of JSON, as the logger makes it, into the line that is written. Both end in a line break. */
export type FormatLine = (line: string) => string;

/** The form of lines on standard error. Node itself reads `NO_COLOR`, `FORCE_COLOR` and `TERM`. */
export function lineFormat(format: LogFormat): FormatLine {
  if (!isPretty(format)) return safeJson;
  const hasColours = isatty(STDERR) && WriteStream.prototype.getColorDepth() > 1;
  return (line) => prettyLine(line, hasColours);
}

/** True = for a person: on a terminal, or wanted. */
export function isPretty(format: LogFormat): boolean {
  return format === 'pretty' || (format === 'auto' && isatty(STDERR));
}

/** JSON without control, format and bidi characters, which reads back as the same value. */
export function safeJson(line: string): string {
  return `${printable(line.slice(0, -1))}\n`;
}

/** `12:34:56.789 INFO  message    field=value field="two words"`, in the time of the machine. */
export function prettyLine(line: string, hasColours: boolean): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const paint = (colour: string, text: string) => (hasColours ? `${colour}${text}${RESET}` : text);
  const word = String(level);
  const shown = Object.entries(fields).map(
    ([name, value]) => `${paint(DIM, `${printable(name)}=`)}${fieldText(value)}`,
  );
  const text = printable(String(msg ?? ''));
  const head = `${paint(DIM, clockTime(String(time)))} ${paint(COLOURS[word] ?? '', word.toUpperCase().padEnd(5))}`;
  return `${head} ${shown.length === 0 ? text : `${text.padEnd(MESSAGE_WIDTH)} ${shown.join(' ')}`}\n`;
}

function clockTime(iso: string): string {
  const at = new Date(iso);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${clock}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** A plain word as it is; other texts and values as JSON, which tells where they end. */
function fieldText(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@*+-]+$/.test(value) ? value : jsonLine(value);
}

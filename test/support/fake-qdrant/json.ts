import { Fault } from './fault.ts';

/** A JSON value whose integers beyond 2^53 are kept exact as bigint. */
export type Json = null | boolean | number | bigint | string | Json[] | JsonObject;

/** A JSON object; an undefined member is left out when written. */
export type JsonObject = { [key: string]: Json | undefined };

type ExactReviver = (key: string, value: Json, context: { source?: string }) => Json;
const parse = JSON.parse as (text: string, reviver?: ExactReviver) => Json;
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

function exactInteger(_key: string, value: Json, context: { source?: string }): Json {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) {
    return value;
  }
  return context.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** Stands before the digits of an integer while the rest is read. */
const MARK = 'integer:';

/** Reads JSON without rounding integers; throws SyntaxError on malformed text. */
export function parseJson(text: string): Json {
  // Only a run of digits that could be too long for a double needs more.
  if (!/\d{16}/.test(text)) return parse(text);
  // The reviver costs five times as much as marks, which a text must not have itself.
  if (text.includes(MARK)) return parse(text, exactInteger);
  return unmarked(parse(text.replaceAll(TOKEN, (token) => (/^-?\d{16,}$/.test(token) ? `"${MARK}${token}"` : token))));
}

/** The value with its marked integers in place, changed where it is. */
function unmarked(value: Json): Json {
  if (typeof value === 'string') return value.startsWith(MARK) ? integer(value.slice(MARK.length)) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) value[at] = unmarked(value[at] ?? null);
    return value;
  }
  for (const name of Object.keys(value)) {
    const member = value[name];
    if (typeof member === 'string' || typeof member === 'object') {
      const changed = unmarked(member);
      if (changed !== member) value[name] = changed;
    }
  }
  return value;
}

function integer(digits: string): Json {
  return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits);
}

/** Writes JSON, bigints as plain integers. */
export function writeJson(value: Json): string {
  return JSON.stringify(hasBigint(value) ? withRaw(value) : value);
}

function hasBigint(value: Json | undefined): boolean {
  if (typeof value === 'bigint') return true;
  if (typeof value !== 'object' || value === null) return false;
  for (const name in value) if (hasBigint((value as JsonObject)[name])) return true;
  return false;
}

function withRaw(value: Json | undefined): unknown {
  if (typeof value === 'bigint') return rawJson(String(value));
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withRaw);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withRaw(member)]));
}

/** True for a JSON object (no array, no null). */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as an object; refuses anything else as Qdrant refuses a body of the wrong form. */
export function objectOf(value: Json | undefined): JsonObject {
  if (!isObject(value)) {
    throw new Fault('bad-input', 'Format error in JSON body: invalid type, expected a map');
  }
  return value;
}

/** The value as a list: a single value is a list of one, nothing is an empty list. */
export function listOf(value: Json | undefined): Json[] {
  if (value === undefined || value === null) {
    return [];
  }
  return Array.isArray(value) ? value : [value];
}

/** The value as a text, or undefined. */
export function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The value as a finite number, or the given default. */
export function numberOf(value: Json | undefined, otherwise: number): number {
  if (typeof value === 'bigint') {
    return Number(value);
  }
  return typeof value === 'number' ? value : otherwise;
}

/** The value as a list of numbers; refuses anything else. */
export function numbersOf(value: Json | undefined): number[] {
  if (!Array.isArray(value)) {
    throw new Fault('bad-input', 'Format error in JSON body: expected an array of numbers');
  }
  return value.map((item) => {
    if (typeof item !== 'number' && typeof item !== 'bigint') {
      throw new Fault('bad-input', 'Format error in JSON body: expected an array of numbers');
    }
    return Number(item);
  });
}

/** The shortest decimal that is the same 32-bit float, as Qdrant writes vectors and scores. */
export function shortFloat(value: number): number {
  const float = Math.fround(value);
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(float.toPrecision(digits));
    if (Math.fround(short) === float) {
      return short;
    }
  }
  return Number(float.toPrecision(9));
}

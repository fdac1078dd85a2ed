import t from 'tap';
import { shortRun } from './harness.ts';
import { fuzzer } from './spread-calls.ts';

shortRun(t, fuzzer, 60);

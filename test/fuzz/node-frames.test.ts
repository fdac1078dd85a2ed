import t from 'tap';
import { shortRun } from './harness.ts';
import { fuzzer } from './node-frames.ts';

shortRun(t, fuzzer, 300);

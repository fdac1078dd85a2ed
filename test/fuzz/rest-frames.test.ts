import t from 'tap';
import { shortRun } from './harness.ts';
import { fuzzer } from './rest-frames.ts';

shortRun(t, fuzzer, 300);

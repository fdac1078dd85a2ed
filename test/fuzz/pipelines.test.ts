import t from 'tap';
import { shortRun } from './harness.ts';
import { fuzzer } from './pipelines.ts';

shortRun(t, fuzzer, 400);

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { statFile } from '../../../src/config/files/file-reads.ts';

t.test(
  'a file that was replaced twice is another one each time, although it may have the number of the first',
  async (t) => {
    const folder = t.testdir({ file: '1' });
    const path = join(folder, 'file');
    const replaced = (text: string): void => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    for (let round = 0; round < 50; round += 1) {
      const before = statFile(path);
      replaced('2');
      replaced('3');
      t.not(statFile(path)?.inode, before?.inode);
    }
    const before = statFile(path);
    writeFileSync(path, 'written in place');
    t.equal(statFile(path)?.inode, before?.inode, 'a file that is written in place stays the same');
  },
);

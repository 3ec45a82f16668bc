/** Given back, and still there when it is needed: in a process of its own. */

import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

const program = `
  import { readFileSync } from 'node:fs';
  import { createHash } from 'node:crypto';
  import { returnMemory } from '${new URL('../../../src/agent/process-memory.ts', import.meta.url).pathname}';
  const mapped = () => Number(/^RssFile:\\s+(\\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]);
  const work = () => {
    let hash = '';
    for (let i = 0; i < 20_000; i++) hash = createHash('sha256').update(hash + JSON.stringify({ i })).digest('hex');
    return hash;
  };
  const before = { hash: work(), mapped: mapped() };
  const end = returnMemory();
  const after = { mapped: mapped(), hash: work() };
  end();
  console.log(JSON.stringify({ before, after }));
`;

test('the code of Node that is not in use is not held, and works when it is in use again', () => {
  const said = execFileSync(process.execPath, ['--input-type=module', '--no-warnings', '--eval', program], {
    encoding: 'utf8',
  });
  const { before, after } = JSON.parse(said) as Record<'before' | 'after', { hash: string; mapped: number }>;
  expect(after.hash).toBe(before.hash);
  expect(after.mapped).toBeLessThan(before.mapped - 5 * 1024);
});

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-start-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('an agent that cannot start says why, ends with status 1, and leaves no socket', async () => {
  const socket = join(folder, 'godwit.ctl');
  const flags = ['--node', 'a', '--source', `dir:${join(folder, 'missing')}`, '--socket', socket, '--state', folder];
  const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
    execFile(process.execPath, [main, 'agent', '--roles', 'bgp', ...flags], { timeout: 30_000 }, (error, stdout) =>
      resolve({ code: error?.code, output: stdout }),
    );
  });
  expect(code).toBe(1);
  expect(output).toContain(`cannot read the folder of manifests ${join(folder, 'missing')}`);
  expect([socket, join(folder, 'api.sock')].filter(existsSync)).toEqual([]);
});

/** What a machine must have for a lab. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { requirePrograms, requireRoot } from '../../../src/lab/requirements.ts';

let empty: string;
beforeEach(async () => {
  empty = await mkdtemp(join(tmpdir(), 'godwit-lab-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(empty, { recursive: true });
});

test('every missing program is named, with the Debian packages that bring them', async () => {
  vi.stubEnv('PATH', empty);
  await expect(requirePrograms()).rejects.toThrow(
    'the lab needs ip, tcpdump, ping, bird, birdc, vtysh: apt-get install iproute2 tcpdump iputils-ping bird2 frr',
  );
});

test('a machine that has them is enough', async () => {
  await requirePrograms();
});

test('without root the command says what it needs', () => {
  vi.spyOn(process, 'getuid').mockReturnValue(1000);
  expect(() => requireRoot('up')).toThrow('godwit lab up makes network namespaces: run it as root');
});

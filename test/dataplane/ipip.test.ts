import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { hasUserModeLinux, runInUserModeLinux } from '../kit/user-mode-linux.ts';

/** IP-in-IP against a kernel that surely has it; where user-mode Linux is not installed, the byte vectors alone speak. */
test.skipIf(!hasUserModeLinux)('two nodes reach each other by IP-in-IP: made, used, repaired, moved, removed', () => {
  const result = runInUserModeLinux(fileURLToPath(new URL('../kit/ipip-scenario.ts', import.meta.url)));
  expect(result).toEqual({
    supported: { supported: true },
    made: { kind: 'ipip', local: '10.0.0.1', remote: 'any', mtu: 1480, up: true },
    sameDevice: true,
    reached: true,
    reachedWithLargest: true,
    route: '10.244.2.0/24 via 10.0.0.2 dev godwit-ipip proto 167 src 10.244.1.0 metric 1670 onlink',
    reachedAfterRepair: true,
    moved: { kind: 'ipip', local: '10.0.0.77', remote: 'any', mtu: 1400, up: true },
    failures: [],
    removed: { routes: 1, devices: ['godwit-ipip'], podLinks: 0 },
  });
});

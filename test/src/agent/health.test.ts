import { expect, test } from 'vitest';
import { formatChecks, livenessOf, readinessOf } from '../../../src/agent/health.ts';

const well = {
  speaker: { isListening: true },
  routes: { waitingSince: undefined },
  policy: { waitingSince: undefined, everApplied: true },
};

test('an agent that starts lives, and is not ready', () => {
  expect(formatChecks(livenessOf(undefined, 0))).toBe('[+]event loop ok\n');
  expect(formatChecks(readinessOf(undefined))).toBe('[-]source: not read yet\n');
});

test('a running agent lives and is ready', () => {
  expect(formatChecks(livenessOf(well, 0))).toBe('[+]event loop ok\n[+]routes ok\n[+]policy ok\n');
  expect(formatChecks(readinessOf(well))).toBe('[+]source ok\n[+]speaker ok\n[+]policy ok\n');
});

test('parts that a role leaves out are not looked at', () => {
  const { speaker } = well;
  expect(formatChecks(livenessOf({ speaker }, 0))).toBe('[+]event loop ok\n');
  expect(formatChecks(readinessOf({ speaker }))).toBe('[+]source ok\n[+]speaker ok\n');
});

test.each([
  ['routes', 60_000, '[+]routes ok'],
  ['routes', 60_001, '[-]routes: no progress for 60 s'],
  ['policy', 60_000, '[+]policy ok'],
  ['policy', 75_900, '[-]policy: no progress for 75 s'],
] as const)('%s that wait for the kernel for %i ms: %s', (part, now, line) => {
  const vitals = { ...well, [part]: { waitingSince: 0, everApplied: true } };
  expect(formatChecks(livenessOf(vitals, now)).split('\n')).toContain(line);
});

test('a speaker that does not listen, and a policy that was never in force, are not ready', () => {
  const vitals = { speaker: { isListening: false }, policy: { waitingSince: undefined, everApplied: false } };
  expect(formatChecks(readinessOf(vitals))).toBe(
    '[+]source ok\n[-]speaker: not listening for BGP connections\n[-]policy: not in force yet\n',
  );
});

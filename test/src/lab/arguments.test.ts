/** The words of `godwit lab`. */

import { expect, test } from 'vitest';
import { LabUsageError, parseLabArguments } from '../../../src/lab/arguments.ts';
import { bundledLab } from './bundled.ts';

test('without flags: the bundled lab in /run/godwit-lab', () => {
  expect(parseLabArguments(['up'])).toEqual({ command: 'up', runFolder: '/run/godwit-lab', labFolder: bundledLab });
});

test('flags stand for the folders and the name', () => {
  expect(parseLabArguments(['check', '--dir', '/tmp/x', '--lab=/tmp/y', '--name', 'z'])).toEqual({
    command: 'check',
    runFolder: '/tmp/x',
    labFolder: '/tmp/y',
    name: 'z',
  });
});

test('help may be asked for anywhere', () => {
  expect(parseLabArguments(['--help'])).toBe('help');
  expect(parseLabArguments(['up', '-h'])).toBe('help');
});

test('shell takes a machine', () => {
  expect(parseLabArguments(['shell', 'shop/web-1'])).toMatchObject({ command: 'shell', machine: 'shop/web-1' });
});

test.each([
  [[], 'godwit lab up'],
  [['upp'], 'godwit lab upp: no such command'],
  [['shell'], 'godwit lab shell: name a machine'],
  [['kill'], 'godwit lab kill: name a machine'],
  [['up', 'now'], 'godwit lab up: now is one word too many'],
  [['shell', 'a', 'b'], 'godwit lab shell: b is one word too many'],
  [['up', '--racks', '3'], "godwit lab: Unknown option '--racks'"],
  [['up', '--name', 'A b'], '--name A b: use small letters'],
])('%o is refused: %s', (args, message) => {
  expect(() => parseLabArguments(args)).toThrow(LabUsageError);
  expect(() => parseLabArguments(args)).toThrow(message);
});

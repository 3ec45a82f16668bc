/** What policies/story.yaml may say, and what it opens. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isOpen, parseStory } from '../../../../src/lab/check/policy-story.ts';
import { readLabFolder } from '../../../../src/lab/manifests.ts';
import { bundledLab } from '../bundled.ts';

const bundledStory = async () => parseStory(await readFile(join(bundledLab, 'policies/story.yaml'), 'utf8'));

test('the bundled story goes from open over default-deny and an allow back to open', async () => {
  const { pods } = await readLabFolder(bundledLab);
  const stages = await bundledStory();
  const openPairs = stages.map((stage) =>
    pods
      .flatMap((from) => pods.flatMap((to) => [8080, 9090].map((port) => ({ from, to, port }))))
      .filter(({ from, to, port }) => from !== to && isOpen(stage, from, to, port))
      .map(({ from, to, port }) => `${from.labels.app}>${to.labels.app}:${port}`),
  );
  expect(openPairs.map((pairs) => pairs.length)).toEqual([112, 4, 4 + 9 + 6, 112]);
  expect([...new Set(openPairs[1])]).toEqual(['probe>probe:8080', 'probe>probe:9090']);
  expect([...new Set(openPairs[2])].sort()).toEqual([
    'probe>probe:8080',
    'probe>probe:9090',
    'probe>web:9090',
    'web>db:8080',
  ]);
});

test('every file that the bundled story applies is there', async () => {
  for (const file of (await bundledStory()).flatMap(({ apply }) => apply)) {
    expect(await readFile(join(bundledLab, 'policies', file), 'utf8')).toContain('kind: NetworkPolicy');
  }
});

test.each([
  ['stages: [{ title: x, apply: [../../etc/passwd], open: all }]', 'policies/story.yaml: stages[0].apply[0]: '],
  ['stages: [{ title: x, apply: [], open: most }]', 'policies/story.yaml: stages[0].open: '],
  ['stages: 1', 'policies/story.yaml: stages: '],
])('%s is refused with the field', (text, message) => {
  expect(() => parseStory(text)).toThrow(message);
});

/** The text of a manifest file: objects and problems with their places, whatever the text. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readManifestText } from '../../../src/source/manifest-text.ts';

const read = (text: string) => readManifestText(text, () => undefined);

const node = (name: string) => `apiVersion: v1\nkind: Node\nmetadata: { name: ${name} }\n`;

test('objects carry the document and the line they begin at', async () => {
  const { objects, problems, sound } = await read(`# nodes\n${node('a')}---\n${node('b')}---\n---\n# end\n`);
  expect(objects.map(({ resource, document, line }) => [resource.metadata.name, document, line])).toEqual([
    ['a', 1, 2],
    ['b', 2, 6],
  ]);
  expect(problems).toEqual([]);
  expect(sound).toBe(true);
});

test.each([
  ['nothing', ''],
  ['a comment', '# soon\n'],
  ['separators', '---\n---\n'],
])('%s is no object and no fault', async (_, text) => {
  expect(await read(text)).toEqual({ objects: [], problems: [], sound: true });
});

test('a fault is found at the line of its field, with the object it is of', async () => {
  const text = `${node('a')}---
apiVersion: godwit.dev/v1
kind: BGPPeer
metadata:
  name: tor
spec:
  peerIP: 10.0.0.1
  asNumber: 0
  passive:
    yes
---
${node('b')}`;
  const { objects, problems, sound } = await read(text);
  expect(objects.map(({ resource }) => resource.metadata.name)).toEqual(['a', 'b']);
  expect(sound).toBe(false);
  expect(problems).toEqual([
    { document: 2, kind: 'BGPPeer', name: 'tor', line: 11, field: 'spec.asNumber', reason: '0 is reserved (RFC 7607)' },
    {
      document: 2,
      kind: 'BGPPeer',
      name: 'tor',
      line: 13,
      field: 'spec.passive',
      reason: '"yes" is not true or false',
    },
  ]);
});

test('a field that is missing has the line of what it is missing from', async () => {
  const text = 'apiVersion: godwit.dev/v1\nkind: IPPool\nmetadata: { name: pods }\nspec:\n  ipipMode: Always\n';
  expect((await read(text)).problems).toEqual([
    { document: 1, kind: 'IPPool', name: 'pods', line: 5, field: 'spec.cidr', reason: 'required' },
  ]);
});

test('the items of a List are objects of their own', async () => {
  const text = `apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: { name: a }
- apiVersion: v1
  kind: Node
  metadata: { name: B }
`;
  const { objects, problems } = await read(text);
  expect(objects.map(({ resource, line }) => [resource.metadata.name, line])).toEqual([['a', 4]]);
  expect(problems).toMatchObject([{ document: 1, kind: 'Node', name: 'B', line: 9, field: 'items[1].metadata.name' }]);
});

test('a kind that is not used is told and is no fault', async () => {
  const { problems, sound } = await read('apiVersion: v1\nkind: ConfigMap\nmetadata: { name: s }\n');
  expect(problems).toEqual([
    { document: 1, line: 1, kind: 'ConfigMap', name: 's', reason: 'kind ConfigMap is not used here' },
  ]);
  expect(sound).toBe(true);
});

test('JSON is read too', async () => {
  const json = JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } }, undefined, '\t');
  expect((await read(json)).objects.map(({ resource }) => resource.metadata.name)).toEqual(['a']);
});

test('YAML 1.2: yes and no are texts, and anchors work', async () => {
  const text = `apiVersion: v1
kind: Node
metadata:
  name: a
  labels: &common { spare: no }
  annotations: *common
`;
  expect((await read(text)).objects.map(({ resource }) => resource.metadata)).toEqual([
    { name: 'a', labels: { spare: 'no' }, annotations: { spare: 'no' } },
  ]);
});

test.each([
  ['a bracket that is open', 'apiVersion: v1\nmetadata: { name: a\nkind: Node\n', 3, /^not YAML: /],
  ['a key twice', 'apiVersion: v1\nkind: Node\nkind: Pod\n', 3, /^not YAML: Map keys must be unique$/],
  ['a tab for indentation', 'metadata:\n\tname: a\n', 2, /^not YAML: Tabs are not allowed as indentation$/],
])('%s is a fault with its line', async (_, text, line, reason) => {
  const { objects, problems, sound } = await read(text);
  expect(objects).toEqual([]);
  expect(sound).toBe(false);
  expect(problems).toEqual([{ document: 1, line, reason: expect.stringMatching(reason) }]);
});

test('aliases that would blow up are refused', async () => {
  const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(', ')}]`);
  const { problems, sound } = await read(`l0: &l0 [x]\n${levels.join('\n')}\n`);
  expect(sound).toBe(false);
  expect(problems).toEqual([
    { document: 1, line: 1, reason: 'not YAML: Excessive alias count indicates a resource exhaustion attack' },
  ]);
});

test.each([
  ['an alias', 'stringData: { password: *hunter2 }'],
  ['a tag', 'stringData: { password: !hunter2 }'],
  ['text after a quoted text', 'stringData: { password: "a" hunter2 }'],
  ['a list that is open', 'stringData: { password: [hunter2 }'],
  ['a number', 'stringData: { password: 4711 }'],
  ['text where bytes are wanted', 'data: { password: hunter2! }'],
  ['text where a map is wanted', 'data: hunter2'],
  ['a list where a map is wanted', 'stringData: [hunter2]'],
  ['a misplaced text', 'data:\n  password: aHVudGVy\n hunter2'],
  ['a block that ends early', 'data:\n  password: |\n hunter2: [4711'],
])('a password is not in the problem: %s', async (_title, text) => {
  const { problems, sound } = await read(`apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n${text}\n`);
  if (!text.includes('!hunter2')) expect([sound, problems.length > 0]).toEqual([false, true]);
  expect(JSON.stringify(problems)).not.toMatch(/hunter|4711/);
});

test('merge keys are refused, not overlooked', async () => {
  const text = `${node('a')}spec: { <<: { podCIDR: 10.0.0.0/24 } }\n`;
  expect((await read(text)).problems).toEqual([{ document: 1, line: 1, reason: 'merge keys (<<) are not read' }]);
  expect((await read(text.replace('<<', '"<<"'))).problems).toEqual([]);
});

test('a pause is made after each document', async () => {
  let pauses = 0;
  await readManifestText(`${node('a')}---\n${node('b')}`, () => void pauses++);
  expect(pauses).toBe(2);
});

test('nesting without end is refused', async () => {
  expect((await read('['.repeat(100_000))).problems).toMatchObject([{ reason: 'not YAML: nested too deeply' }]);
});

test('whatever the text, the answer is objects and problems', async () => {
  const parts = fc.constantFrom(
    'apiVersion: v1',
    'kind: Node',
    '---',
    '{',
    '}',
    '[',
    ']',
    '- ',
    'a: &a ',
    '*a',
    '<<: ',
    '\n',
    '  ',
    '!!binary x',
    '"',
    '? ',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(parts, { maxLength: 40 }).map((all) => all.join('')),
  );
  await fc.assert(
    fc.asyncProperty(text, async (manifest) => {
      const { objects, problems, sound } = await read(manifest);
      expect(sound || problems.length > 0).toBe(true);
      expect([...objects, ...problems].every(({ line }) => line === undefined || line > 0)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

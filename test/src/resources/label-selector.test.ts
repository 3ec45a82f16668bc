/** Kubernetes' LabelSelector. */

import { expect, test } from 'vitest';
import { labelSelectorSchema, matchesLabelSelector } from '../../../src/resources/label-selector.ts';

const labels = { app: 'web', tier: 'front' };

test.each<[string, object, boolean]>([
  ['the empty selector', {}, true],
  ['matchLabels', { matchLabels: { app: 'web' } }, true],
  ['every one of matchLabels', { matchLabels: { app: 'web', tier: 'back' } }, false],
  ['a label that is missing', { matchLabels: { zone: 'a' } }, false],
  ['In', { matchExpressions: [{ key: 'app', operator: 'In', values: ['api', 'web'] }] }, true],
  ['In of others', { matchExpressions: [{ key: 'app', operator: 'In', values: ['api'] }] }, false],
  ['In of a label that is missing', { matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] }, false],
  ['NotIn', { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['web'] }] }, false],
  ['NotIn of a label that is missing', { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }, true],
  ['Exists', { matchExpressions: [{ key: 'app', operator: 'Exists' }] }, true],
  ['Exists of a label that is missing', { matchExpressions: [{ key: 'zone', operator: 'Exists' }] }, false],
  ['DoesNotExist', { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] }, true],
  ['a name of Object.prototype', { matchExpressions: [{ key: 'toString', operator: 'Exists' }] }, false],
  [
    'labels and expressions together',
    { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['front'] }] },
    false,
  ],
])('%s', (_, selector, selected) => {
  expect(matchesLabelSelector(labelSelectorSchema.parse(selector))(labels)).toBe(selected);
});

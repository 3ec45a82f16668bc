/**
 * Kubernetes' LabelSelector: `{ matchLabels, matchExpressions }`; every requirement must hold, none selects all.
 */

import { z } from 'zod';
import type { DeepReadonly } from './define.ts';
import type { LabelPredicate, Labels } from './selector.ts';

const requirement = z
  .object({
    key: z.string().min(1),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: z.array(z.string()).default([]),
  })
  .superRefine(({ operator, values }, context) => {
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (needsValues === values.length > 0) return;
    const message = needsValues ? `required with operator ${operator}` : `not allowed with operator ${operator}`;
    context.addIssue({ code: 'custom', path: ['values'], message, input: values });
  });

export const labelSelectorSchema = z.object({
  matchLabels: z.record(z.string(), z.string()).default({}),
  matchExpressions: z.array(requirement).default([]),
});

export type LabelSelector = DeepReadonly<z.output<typeof labelSelectorSchema>>;
type Requirement = LabelSelector['matchExpressions'][number];

export function matchesLabelSelector(selector: LabelSelector): LabelPredicate {
  const wanted = Object.entries(selector.matchLabels);
  const requirements = selector.matchExpressions.map(matchesRequirement);
  return (labels) =>
    wanted.every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value) &&
    requirements.every((matches) => matches(labels));
}

const operators = {
  In: (labels, key, values) => Object.hasOwn(labels, key) && values.has(labels[key]),
  // A label that is missing is not in the set: NotIn selects it (Kubernetes says so).
  NotIn: (labels, key, values) => !Object.hasOwn(labels, key) || !values.has(labels[key]),
  Exists: (labels, key) => Object.hasOwn(labels, key),
  DoesNotExist: (labels, key) => !Object.hasOwn(labels, key),
} as const satisfies Record<
  Requirement['operator'],
  (labels: Labels, key: string, values: ReadonlySet<string>) => boolean
>;

function matchesRequirement({ key, operator, values }: Requirement): LabelPredicate {
  const set = new Set(values);
  return (labels) => operators[operator](labels, key, set);
}

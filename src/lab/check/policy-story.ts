/** policies/story.yaml: which NetworkPolicies are put in force one stage after the other, and what must then be open. */

import { z } from 'zod';
import { parseOwnYaml } from '../manifests.ts';
import type { LabPod } from '../topology.ts';

const podPattern = z.strictObject({ namespace: z.string(), app: z.string().optional() });

const storySchema = z.strictObject({
  stages: z.array(
    z.strictObject({
      title: z.string(),
      apply: z.array(z.string().regex(/^[\w-]+\.ya?ml$/)),
      open: z.union([
        z.literal('all'),
        z.array(z.strictObject({ from: podPattern, to: podPattern, ports: z.array(z.int()) })),
      ]),
    }),
  ),
});

export type PolicyStage = z.infer<typeof storySchema>['stages'][number];

/** @throws LabFileError naming the field. */
export function parseStory(text: string): readonly PolicyStage[] {
  return parseOwnYaml(storySchema, text, 'policies/story.yaml').stages;
}

/** Whether the stage says that a connect from one pod to a port of another works. */
export function isOpen(stage: PolicyStage, from: LabPod, to: LabPod, port: number): boolean {
  if (stage.open === 'all') return true;
  return stage.open.some((rule) => matches(rule.from, from) && matches(rule.to, to) && rule.ports.includes(port));
}

function matches({ namespace, app }: z.infer<typeof podPattern>, pod: LabPod): boolean {
  return pod.namespace === namespace && (app === undefined || pod.labels.app === app);
}

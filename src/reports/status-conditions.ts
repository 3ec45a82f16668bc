/** Conditions over time. Pure. */

import { timeText } from '../kube/clock.ts';
import type { StatusCondition } from '../resources/node-network-status.ts';

/** A condition before it is dated. */
export type Finding = Omit<StatusCondition, 'lastTransitionTime'>;

/**
 * The findings as conditions: one whose status is what it was keeps its time.
 * @param now milliseconds since the epoch
 */
export function datedConditions(
  findings: readonly Finding[],
  before: readonly StatusCondition[],
  now: number,
): readonly StatusCondition[] {
  return findings.map((finding) => {
    const old = before.find(({ type }) => type === finding.type);
    const lastTransitionTime = old?.status === finding.status ? old.lastTransitionTime : timeText(now);
    return { ...finding, lastTransitionTime };
  });
}

/** @param message not empty: Kubernetes 1.20 takes an empty text of a required field for none, and refuses it */
export function finding(type: string, status: boolean | undefined, reason: string, message: string): Finding {
  return { type, status: status === undefined ? 'Unknown' : status ? 'True' : 'False', reason, message };
}

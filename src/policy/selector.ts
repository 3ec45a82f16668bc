/**
 * Which pods a NetworkPolicy means: its own, and its peers.
 * Implements: podSelector and namespaceSelector of networking.k8s.io/v1.
 * Holds: selectors that mean the same in the same scope have the same identity, so that rules share one set of addresses.
 */

import { matchesLabelSelector, type LabelSelector } from '../resources/label-selector.ts';
import type { LabelPredicate } from '../resources/selector.ts';
import { unreachable } from '../unreachable.ts';

export interface PodSelector {
  /** Equal where the selectors are; not for people. */
  readonly id: string;
  /** For people: `namespace=default pods=app=web`. */
  readonly text: string;
  /** One namespace by its name, or all whose labels match. */
  readonly namespace: string | LabelPredicate;
  readonly matchesPod: LabelPredicate;
}

/** Pods of one namespace. */
export function selectInNamespace(namespace: string, pods: LabelSelector): PodSelector {
  return {
    id: JSON.stringify([namespace, requirements(pods)]),
    text: `namespace=${namespace} pods: ${selectorText(pods)}`,
    namespace,
    matchesPod: matchesLabelSelector(pods),
  };
}

/** Pods of every namespace that the first selector matches. */
export function selectAcrossNamespaces(namespaces: LabelSelector, pods: LabelSelector): PodSelector {
  return {
    id: JSON.stringify([requirements(namespaces), requirements(pods)]),
    text: `namespaces: ${selectorText(namespaces)} pods: ${selectorText(pods)}`,
    namespace: matchesLabelSelector(namespaces),
    matchesPod: matchesLabelSelector(pods),
  };
}

/** `app=web,tier in (a,b),!old`, sorted; `all` where nothing is required. As `kubectl get -l` takes it. */
function selectorText(selector: LabelSelector): string {
  return requirements(selector).map(requirementText).join(',') || 'all';
}

type Requirement = LabelSelector['matchExpressions'][number];

/** In one order, without repetitions. A label of matchLabels is an In with one value. */
function requirements({ matchLabels, matchExpressions }: LabelSelector): readonly Requirement[] {
  const all = [
    ...Object.entries(matchLabels).map(([key, value]) => ({ key, operator: 'In' as const, values: [value] })),
    ...matchExpressions.map(({ key, operator, values }) => ({
      key,
      operator,
      values: [...new Set(values)].sort(),
    })),
  ];
  const byId = new Map(all.map((requirement) => [JSON.stringify(requirement), requirement]));
  return [...byId.keys()].sort().map((id) => byId.get(id)!);
}

function requirementText({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      return unreachable(operator);
  }
}

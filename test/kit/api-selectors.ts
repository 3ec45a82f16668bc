/** Which objects a list or a watch is about. */

import type { Json, StoredObject } from './api-store.ts';
import type { SeenRequest } from './api-faults.ts';

/** labelSelector (`a=b,c!=d,e,!f,g in (h,i)`) and fieldSelector (`spec.nodeName=x`). */
export function selectorOf({
  labelSelector = '',
  fieldSelector = '',
}: SeenRequest['query']): (object: StoredObject) => boolean {
  const labels = labelSelector.match(/[^,()]+(\([^)]*\))?/g) ?? [];
  const fields = fieldSelector.split(',').filter(Boolean);
  return (object) =>
    labels.every((term) => matchesTerm(object.metadata.labels ?? {}, term.trim())) &&
    fields.every((term) => {
      const [, path, operator, value] = /^([^=!]+)(==?|!=)(.*)$/.exec(term) ?? [];
      const found = path?.split('.').reduce<unknown>((inner, key) => (inner as Json | undefined)?.[key], object) ?? '';
      return (found === value) !== (operator === '!=');
    });
}

function matchesTerm(labels: Readonly<Record<string, string>>, term: string): boolean {
  const [, key, not, list] = /^(\S+) (not)?in \(([^)]*)\)$/.exec(term) ?? [];
  if (key !== undefined) {
    const values = list.split(',').map((value) => value.trim());
    return (labels[key] !== undefined && values.includes(labels[key])) !== (not !== undefined);
  }
  const [, name, operator, value] = /^([^=!]+)(==?|!=)(.*)$/.exec(term) ?? [];
  if (name !== undefined) return (labels[name] === value) !== (operator === '!=');
  return term.startsWith('!') ? labels[term.slice(1)] === undefined : labels[term] !== undefined;
}

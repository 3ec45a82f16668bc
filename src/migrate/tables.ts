/** The tables of fields as docs/migrate.md prints them. */

import { calicoKindsWithout, calicoTables } from './calico-fields.ts';
import type { FieldRule, FieldTable } from './field-rule.ts';
import { kubeRouterTables } from './kube-router-fields.ts';

/** Markdown; what stands between the markers of docs/migrate.md. */
export function migrationTables(): string {
  const sections = [
    "## What becomes of Calico's fields",
    ...Object.entries(calicoTables).map(([title, table]) => fieldTable(title, table)),
    '### Kinds without a counterpart',
    rows(
      ['Kind', 'What happens instead'],
      Object.entries(calicoKindsWithout).map(([kind, { instead }]) => [`\`${kind}\``, instead]),
    ),
    "## What becomes of kube-router's annotations and flags",
    ...Object.entries(kubeRouterTables).map(([title, table]) => fieldTable(title, table)),
  ];
  return `${sections.join('\n\n')}\n`;
}

function fieldTable(title: string, table: FieldTable): string {
  const cells = Object.entries(table).map(([field, rule]) => [`\`${field}\``, ...becomes(field, rule)]);
  return `### ${title}\n\n${rows(['Field', 'Becomes', 'How, or what happens instead'], cells)}`;
}

function becomes(field: string, rule: FieldRule): readonly [string, string] {
  if (rule.kind === 'same') return [`\`${field}\``, 'the same'];
  if (rule.kind === 'changed') return [/^[a-z]\w*$/.test(rule.to) ? `\`${rule.to}\`` : rule.to, rule.how];
  return ['–', rule.instead];
}

function rows(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [row(head), `|${head.map(() => '---|').join('')}`, ...lines.map(row)].join('\n');
}

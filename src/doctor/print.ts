/** Findings as lines. */

import type { Finding, Level } from './finding.ts';

const words = { ok: 'ok', warning: 'warning', problem: 'problem', notChecked: '-' } as const satisfies Record<
  Level,
  string
>;

export function printFindings(findings: readonly Finding[]): string {
  const width = Math.min(32, Math.max(...findings.map(({ subject }) => subject.length)));
  const lines = findings.flatMap(({ level, subject, text, remedy }) => [
    `${words[level].padEnd(8)} ${subject.padEnd(width)} ${oneLine(text)}`,
    ...(remedy === undefined ? [] : [`${' '.repeat(9 + width)} → ${oneLine(remedy)}`]),
  ]);
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  return `${lines.join('\n')}\n\n${count('problem')} problems, ${count('warning')} warnings\n`;
}

/** Peers and files have their say in these texts: no line of theirs may look like one of ours. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

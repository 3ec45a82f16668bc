/** What a failed story is judged by: the ends of what every program printed. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

const lastLines = 25;

/** Disks of nodes hold, of interest, only what pods printed. */
const uninteresting = /\/(memory|images|etcd|pki|disk\/var\/lib|disk\/var\/log\/containers)$/;

/** @param folder of the run @returns text for a person */
export function logsOf(folder: string): string {
  const text = (path: string): string => {
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lastLines);
    return `--- ${relative(folder, path)}\n${lines.join('\n')}`;
  };
  return logFiles(folder)
    .filter((path) => statSync(path).size > 0)
    .map(text)
    .join('\n');
}

function logFiles(folder: string): string[] {
  if (!existsSync(folder) || uninteresting.test(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return logFiles(path);
    return entry.isFile() && /\.log(\.|$)/.test(entry.name) ? [path] : [];
  });
}

/** How the user calls this program, for hints that can be copied. */

import { basename, relative } from 'node:path';
import { defaultRunFolder } from './run-folder.ts';

/** @param words of `godwit`; @param runFolder is named where it is not the usual one. */
export function ownCommand(words: string, runFolder: string): string {
  const [node, program] = [process.execPath, process.argv[1]];
  const installed = basename(program) === 'godwit';
  const call = installed ? 'godwit' : `${shortest(node)} ${shortest(program)}`;
  return `${call} ${words}${runFolder === defaultRunFolder ? '' : ` --dir ${runFolder}`}`;
}

function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.length < path.length ? fromHere : path;
}

/** `godwit doctor`: what is wrong on this node, and what to do about it. Exit code 1 where there is a problem. */

import { apiPathBeside, defaultSocketPath } from '../control/socket-path.ts';
import { gather } from '../doctor/gather/gather.ts';
import { judge } from '../doctor/judge.ts';
import { printFindings } from '../doctor/print.ts';
import { parseFlags } from './parse-flags.ts';
import { exitCodes, UsageError } from './usage.ts';

/** @param args the words after `doctor`; `root` is for tests. @throws UsageError */
export async function runDoctor(
  args: readonly string[],
  streams: { readonly stdout: NodeJS.WritableStream },
  root?: string,
): Promise<number> {
  const { values, positionals } = parseFlags(args, {
    socket: { type: 'string', short: 's' },
    api: { type: 'string' },
    json: { type: 'boolean' },
  });
  if (positionals.length > 0) throw new UsageError(`doctor takes only flags, not '${positionals[0]}'`);
  const findings = judge(await gather(values.api ?? apiPathBeside(values.socket ?? defaultSocketPath), root));
  streams.stdout.write(values.json === true ? `${JSON.stringify(findings, undefined, 2)}\n` : printFindings(findings));
  return findings.some(({ level }) => level === 'problem') ? exitCodes.refused : exitCodes.ok;
}

/**
 * The edge: runs the `nft` program.
 * Leaves out: what is written (print.ts) and when (table.ts).
 * Holds: one call is one transaction of the kernel: all of the script or nothing.
 */

import { spawn } from 'node:child_process';
import { NftError, NftMissing } from './nft-error.ts';

export interface NftRunner {
  /** Loads a script in one transaction. @throws NftError with nft's own words; nothing has changed then. */
  load(script: string): Promise<void>;
  /** @returns the parsed `nft -j list table inet NAME`, or undefined where there is no such table. @throws NftError */
  list(table: string): Promise<unknown>;
}

/** @param command how nft is called; `['ip', 'netns', 'exec', 'x', 'nft']` works in another network namespace */
export function nftProcess(command: readonly string[] = ['nft']): NftRunner {
  return {
    async load(script) {
      const { code, output, errors } = await run([...command, '-f', '-'], script);
      if (code !== 0) throw new NftError('nft refused the transaction', errors || output);
    },
    async list(table) {
      const { code, output, errors } = await run([...command, '-j', 'list', 'table', 'inet', table], '');
      if (code === 0) return JSON.parse(output) as unknown;
      if (errors.includes('No such file or directory')) return undefined;
      throw new NftError(`nft could not list table inet ${table}`, errors);
    },
  };
}

interface Finished {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** A transaction waits for others' (one lock for all tables of the namespace); longer than this, nft is stuck. */
const longestRunMilliseconds = 60_000;

function run(command: readonly string[], input: string): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: longestRunMilliseconds,
      // The words of an error are compared and shown: no translations.
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.on('error', (error: NodeJS.ErrnoException) => {
      const Kind = error.code === 'ENOENT' ? NftMissing : NftError;
      reject(new Kind(`cannot run ${command[0]} (${error.message})`));
    });
    child.on('close', (code, signal) => {
      const text = (parts: Buffer[]) => Buffer.concat(parts).toString();
      const killed = signal === null ? '' : `nft was ended by ${signal}\n`;
      resolve({ code, output: text(output), errors: killed + text(errors) });
    });
    // nft may stop reading at the first error; its exit status and words tell then, not the broken pipe.
    child.stdin.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') reject(new NftError('cannot write to nft', error.message));
    });
    child.stdin.end(input);
  });
}

/** The words of `godwit lab`. */

import { dirname, join, resolve } from 'node:path';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LabError } from './errors.ts';
import { defaultRunFolder } from './run-folder.ts';

export const labCommands = ['up', 'status', 'check', 'shell', 'kill', 'start', 'down', 'demo'] as const;
export type LabCommand = (typeof labCommands)[number];

export interface LabArguments {
  readonly command: LabCommand;
  /** Of `shell`, `kill`, `start`. */
  readonly machine?: string;
  /** The run folder. */
  readonly runFolder: string;
  /** The folder with lab.yaml. */
  readonly labFolder: string;
  /** Stands in for lab.yaml's name. */
  readonly name?: string;
}

/** The command line is wrong. */
export class LabUsageError extends LabError {}

export const labUsage = `godwit lab: a cluster of network namespaces on this machine, with the real BIRD and FRR as its switches (root only)

  godwit lab up           make it
  godwit lab status       machines, agents and BGP sessions
  godwit lab check        pings, NetworkPolicies, tunnels on the wire, the switches' tables; ends with status 1 if anything is wrong
  godwit lab shell NAME   a shell in a node, pod (shop/web-1), switch or outside host
  godwit lab kill NAME    kill the agent of a node or reflector (SIGKILL), to see that nothing stops
  godwit lab start NAME   start it again
  godwit lab down         take it away, whatever became of it
  godwit lab demo         up, check, and a live picture until Ctrl-C; then down

  --dir PATH    folder of the running lab (${defaultRunFolder})
  --lab PATH    folder with lab.yaml, manifests/, policies/ and switches/ (the two racks that come with Godwit)
  --name NAME   name of the lab, part of its namespaces' names (that of lab.yaml)`;

/** @returns 'help' where that was asked for. @throws LabUsageError */
export function parseLabArguments(args: readonly string[]): LabArguments | 'help' {
  const { values, positionals } = parse(args);
  if (values.help === true) return 'help';
  const [command, machine, ...rest] = positionals;
  if (command === undefined) throw new LabUsageError(labUsage);
  if (!isCommand(command)) throw new LabUsageError(`godwit lab ${command}: no such command\n\n${labUsage}`);
  const wantsMachine = command === 'shell' || command === 'kill' || command === 'start';
  if (wantsMachine && machine === undefined) throw new LabUsageError(`godwit lab ${command}: name a machine`);
  if (rest.length > 0 || (!wantsMachine && machine !== undefined)) {
    throw new LabUsageError(`godwit lab ${command}: ${rest[0] ?? machine} is one word too many`);
  }
  if (values.name !== undefined && !/^[a-z0-9][a-z0-9-]{0,30}$/.test(values.name)) {
    throw new LabUsageError(`--name ${values.name}: use small letters, digits and "-", at most 31`);
  }
  return {
    command,
    ...(machine !== undefined && { machine }),
    runFolder: resolve(values.dir ?? defaultRunFolder),
    labFolder: values.lab === undefined ? bundledLabFolder() : resolve(values.lab),
    ...(values.name !== undefined && { name: values.name }),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        dir: { type: 'string' },
        lab: { type: 'string' },
        name: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new LabUsageError(`godwit lab: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function isCommand(word: string): word is LabCommand {
  return (labCommands as readonly string[]).includes(word);
}

/** The lab folder of the package that this file belongs to, compiled or not: the nearest one above it. */
function bundledLabFolder(): string {
  const inPackage = join('deploy', 'lab', 'two-racks');
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, inPackage)) && folder !== dirname(folder)) folder = dirname(folder);
  return join(folder, inPackage);
}

#!/usr/bin/env node
/**
 * `godwit`: finds the command and loads only what it needs; asking an agent must start quickly.
 * Leaves out: every command itself.
 */

import { exitCodes, UsageError, usageText } from './cli/usage.ts';

type Run = (args: readonly string[]) => Promise<number>;

/** First word → its program, which takes the words after it. */
const commands: Readonly<Record<string, Run>> = {
  async agent(args) {
    const { parseAgentFlags } = await import('./cli/agent-flags.ts');
    const flags = parseAgentFlags(args);
    const { keepYoungHeapSmall } = await import('./agent/process-memory.ts');
    keepYoungHeapSmall();
    const { runAgent } = await import('./agent/agent.ts');
    return runAgent(flags);
  },
  async lab(args) {
    const { runLab } = await import('./lab/lab.ts');
    return runLab(args);
  },
  async doctor(args) {
    const { runDoctor } = await import('./cli/doctor.ts');
    return runDoctor(args, process);
  },
  async migrate(args) {
    const { runMigrate } = await import('./cli/migrate.ts');
    return runMigrate(args, process);
  },
  async 'tor-config'(args) {
    const { runTorConfig } = await import('./cli/tor-config.ts');
    return runTorConfig(args, process);
  },
  async 'install-cni'(args) {
    const { runInstallCni } = await import('./agent/cni/install.ts');
    return runInstallCni(args);
  },
  async cleanup(args) {
    const { runCleanup } = await import('./agent/cleanup.ts');
    return runCleanup(args);
  },
};

/** Commands of the control socket. */
const controlVerbs = new Set(['show', 'enable', 'disable', 'restart', 'reload', 'configure']);

/** Words that the first flags may carry before `show`. */
const flagsWithValue = ['-s', '--socket', '--api'];

async function run(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first !== undefined && Object.hasOwn(commands, first)) {
    if (first !== 'lab' && rest.some((word) => word === '--help' || word === '-h')) return help();
    return commands[first](rest);
  }
  if (args.includes('--help') || args.includes('-h') || first === 'help') return help();
  if (args.includes('--version') || first === 'version') {
    const { version } = await import('./version.ts');
    process.stdout.write(`godwit ${version}\n`);
    return exitCodes.ok;
  }
  const verb = args.find((word, i) => !word.startsWith('-') && !flagsWithValue.includes(args[i - 1]));
  if (verb === undefined) throw new UsageError('a command is missing');
  if (!controlVerbs.has(verb)) throw new UsageError(`there is no command '${verb}'`);
  const { runShow } = await import('./cli/show.ts');
  return runShow(args, process);
}

function help(): number {
  process.stdout.write(usageText);
  return exitCodes.ok;
}

// Whoever reads our output has closed it (`| head`): the rest is not wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`godwit: ${error.message}\nSee 'godwit --help'.\n`);
  process.exitCode = exitCodes.usage;
}

/**
 * `godwit show …` and the other words of the control socket: asks a running agent. Text comes from the BIRD socket as birdc would print it, `--json` from the API socket.
 * Holds: answers go to stdout, everything else to stderr; the exit code says which kind of failure it was.
 */

import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { nameMatcher, parseCommand } from '../control/bird-commands.ts';
import type { Command } from '../control/bird-commands.ts';
import { CommandError } from '../control/command-error.ts';
import { routeFilter } from '../control/route-command.ts';
import type { RouteCommand } from '../control/route-command.ts';
import { joinWords } from '../control/bird-protocol.ts';
import { ApiClient, askBird, ConnectionError, RefusedError } from '../control/client.ts';
import type { ProtocolStatus, RouteDetail } from '../control/model.ts';
import { apiPathBeside, defaultSocketPath } from '../control/socket-path.ts';
import { parseFlags } from './parse-flags.ts';
import { exitCodes, UsageError } from './usage.ts';

export interface Streams {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/**
 * @param args the whole command line: flags, `show` and its words.
 * @returns the exit code.
 * @throws UsageError
 */
export async function runShow(args: readonly string[], streams: Streams): Promise<number> {
  const { values, positionals } = parseFlags(args, {
    socket: { type: 'string', short: 's' },
    api: { type: 'string' },
    json: { type: 'boolean' },
  });
  const command = understood(positionals);
  const socket = values.socket ?? defaultSocketPath;
  if (values.api !== undefined && values.json !== true) throw new UsageError('--api: is only used with --json');
  const out = new Output(streams.stdout);
  try {
    try {
      if (values.json === true) await showJson(values.api ?? apiPathBeside(socket), command, out);
      else await showText(socket, joinWords(positionals), out);
    } finally {
      // What came before a failure is told too.
      await out.flush();
    }
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof ReaderGone) return exitCodes.ok;
    if (error instanceof RefusedError || error instanceof Refusal || error instanceof ConnectionError) {
      streams.stderr.write(`godwit: ${error.message}\n`);
      if (error instanceof ConnectionError) return exitCodes.noConnection;
      return error instanceof Refusal ? error.exitCode : exitCodes.refused;
    }
    throw error;
  }
}

/** The grammar is the server's own, so that a wrong command is told without an agent. */
function understood(words: readonly string[]): Command {
  try {
    return parseCommand(words);
  } catch (error) {
    if (error instanceof CommandError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

async function showText(path: string, command: string, out: Output): Promise<void> {
  for await (const lines of askBird(path, command)) {
    const last = lines[lines.length - 1];
    // The first digit of the last code: 8 refused at run time, 9 not understood.
    const refusal = last.final && /^[89]/.test(last.code);
    const printed = lines.filter(({ final, text }) => !final || (text !== '' && !refusal));
    await out.write(printed.map(({ text }) => `${text}\n`).join(''));
    if (refusal) throw new Refusal(last.text, last.code.startsWith('8') ? exitCodes.refused : exitCodes.usage);
  }
}

/** An answer of the BIRD socket that is none. */
class Refusal extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

async function showJson(path: string, command: Command, out: Output): Promise<void> {
  const client = await ApiClient.connect(path);
  try {
    switch (command.kind) {
      case 'showStatus':
        return await out.document(await client.call('status', {}));
      case 'showMemory':
        return await out.document(await client.call('memory', {}));
      case 'showBfdSessions':
        return await out.document(bfdSessions(await client.call('protocols', {})));
      case 'showPolicy':
        return await out.document(await client.call('policy', { pod: command.pod }));
      case 'showWhy':
        return await out.document(await client.call('why', { target: command.target }));
      case 'showProtocols': {
        const matches = nameMatcher(command.pattern);
        const protocols = (await client.call('protocols', {})).filter((protocol) => matches(nameOf(protocol)));
        if (protocols.length === 0 && command.pattern !== undefined) {
          throw new RefusedError('notFound', 'No protocols match');
        }
        return await out.document(protocols);
      }
      case 'showRoute':
        return await showRoutesJson(client, command, out);
      case 'showInterfaces':
        return await out.document(await client.call('interfaces', {}));
      default:
        throw new UsageError(`--json: there is no such form of this command`);
    }
  } finally {
    client.close();
  }
}

/** Of every peer that has one. */
function bfdSessions(protocols: readonly ProtocolStatus[]): readonly object[] {
  return protocols.flatMap((protocol) => {
    if (protocol.kind !== 'bgp' || protocol.peer.bfd === undefined) return [];
    const { name, address, bfd } = protocol.peer;
    return [{ name, address, ...bfd }];
  });
}

function nameOf(protocol: ProtocolStatus): string {
  return protocol.kind === 'bgp' ? protocol.peer.name : protocol.name;
}

async function showRoutesJson(client: ApiClient, command: RouteCommand, out: Output): Promise<void> {
  const wanted = routeFilter(command);
  const counts = { routes: 0, networks: 0 };
  let last: string | undefined;
  for await (const route of client.routes(command.query)) {
    if (!wanted(route)) continue;
    if (command.numbers !== 'count') await out.write(listItem(route, counts.routes === 0));
    counts.routes++;
    if (route.prefix !== last) counts.networks++;
    last = route.prefix;
  }
  if (command.numbers === 'count') await out.document(counts);
  else await out.write(counts.routes === 0 ? '[]\n' : '\n]\n');
}

function listItem(route: RouteDetail, first: boolean): string {
  return `${first ? '[' : ','}\n  ${JSON.stringify(route)}`;
}

/** Whoever reads our output has closed it (`| head`): the rest is not wanted. */
class ReaderGone extends Error {}

/** Gathers what is written: a write to a pipe is a system call, and a route is a short line. */
class Output {
  readonly #stream: Writable;
  #gathered = '';
  #failure: Error | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure = error.code === 'EPIPE' ? new ReaderGone() : error;
    });
  }

  async write(text: string): Promise<void> {
    this.#gathered += text;
    if (this.#gathered.length >= 16_384) await this.flush();
  }

  /** To be called at the end. */
  async flush(): Promise<void> {
    const text = this.#gathered;
    this.#gathered = '';
    if (this.#failure !== undefined) throw this.#failure;
    if (text === '' || this.#stream.write(text)) return;
    await once(this.#stream, 'drain').catch((error: unknown) => {
      throw this.#failure ?? error;
    });
  }

  async document(value: unknown): Promise<void> {
    await this.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }
}

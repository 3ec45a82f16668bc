/**
 * The control socket that speaks BIRD's protocol: what `birdc -s SOCKET` and `godwit show` talk to.
 * Holds: nothing is changed for a client that may not, or that has said `restrict`.
 * Holds: a long answer neither holds the event loop nor grows memory; a client that never reads, or never ends its line, costs
 * a bounded amount and ends.
 */

import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { answer } from './bird-answers.ts';
import { bird2Form } from './bird-form.ts';
import type { BirdForm, FormAt } from './bird-form.ts';
import { parseCommand } from './bird-commands.ts';
import type { Command } from './bird-commands.ts';
import { CommandError } from './command-error.ts';
import { ReplyFormatter, replyCode, splitWords } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import type { ControlModel } from './model.ts';
import { SlowWriter, TimeSlice } from './slow-writer.ts';
import { listenOnSocketFile } from './socket-file.ts';
import type { SocketFile } from './socket-file.ts';

export interface ControlServerOptions {
  readonly path: string;
  /** Undefined while the agent starts: clients are told so. */
  readonly model: () => ControlModel | undefined;
  /** The program's, for the greeting. */
  readonly version: string;
  /** The model failed while it answered: a fault of ours, for the log. The client is told too. */
  readonly onModelError: (error: unknown) => void;
  /** Milliseconds a client may leave its answer unread; a person at birdc's pager is slow. 5 minutes unless told. */
  readonly patience?: number;
  readonly maximumClients?: number;
  /** Whether the client may change anything; nobody may unless told. */
  readonly mayChange?: (client: Socket) => boolean;
  /** BIRD 2's unless told. */
  readonly form?: FormAt;
}

export interface ControlServer {
  readonly path: string;
  /** Ends all clients, and removes the socket's file if it is still ours. */
  close(): Promise<void>;
}

export const startingText = 'The agent is starting, it has nothing to tell yet';

/** Bytes of a command, newline not counted. */
const longestCommand = 4096;
/** Characters gathered before they are written. */
const pieceLength = 16 * 1024;

/** @throws SocketFileError */
export async function startBirdServer(options: ControlServerOptions): Promise<ControlServer> {
  const { maximumClients = 100 } = options;
  const clients = new Set<Socket>();
  // A client may send its commands, shut its side and read on (`echo show status | nc -U`).
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // The client has gone; 'close' follows, and whoever writes to it learns from that.
    socket.on('error', () => socket.destroy());
    if (clients.size >= maximumClients) {
      socket.end(`${replyCode.accessDenied} Too many clients (${clients.size})\n`);
      socket.resume();
      return;
    }
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    void new BirdConversation(socket, options).serve();
  });
  const file = await listenOnSocketFile(server, options.path);
  return { path: file.path, close: () => closeServer(server, clients, file) };
}

/** Also for the other server. */
export async function closeServer(server: Server, clients: ReadonlySet<Socket>, file: SocketFile): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of clients) socket.destroy();
  await file.remove();
  await closed;
}

function changes(command: Command): boolean {
  return command.kind === 'changePeers' || (command.kind === 'configure' && !command.check);
}

class BirdConversation {
  readonly #socket: Socket;
  readonly #options: ControlServerOptions;
  readonly #writer: SlowWriter;
  readonly #formatter = new ReplyFormatter();
  #mayChange: boolean;

  constructor(socket: Socket, options: ControlServerOptions) {
    this.#socket = socket;
    this.#mayChange = options.mayChange?.(socket) ?? false;
    this.#options = options;
    this.#writer = new SlowWriter(socket, options.patience ?? 300_000);
  }

  #form(): BirdForm {
    return (this.#options.form ?? bird2Form)(Date.now());
  }

  /** Commands one after another; what comes meanwhile waits in the socket, unread. */
  async serve(): Promise<void> {
    const socket = this.#socket.setEncoding('utf8');
    await this.#send([
      { code: replyCode.welcome, text: `${this.#form().program(this.#options.version)} ready.`, final: true },
    ]);
    let pending = '';
    try {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        const lines = (pending + chunk).split('\n');
        pending = lines.pop() ?? '';
        for (const line of pending.length > longestCommand ? [...lines, pending] : lines) {
          if (line.length <= longestCommand) await this.#obey(line.replace(/\r$/, ''));
          else return await this.#refuseLongCommand();
          if (socket.destroyed) return;
        }
      }
    } catch (error) {
      // An iterator over a socket that was destroyed, by us or by its other end, throws; anything else is our fault.
      if (!socket.destroyed) this.#options.onModelError(error);
    }
    socket.end();
  }

  async #refuseLongCommand(): Promise<void> {
    await this.#send([{ code: replyCode.commandTooLong, text: 'Command too long', final: true }]);
    this.#socket.end();
    // Whatever else it sends is thrown away for a moment: the answer must not be lost in a reset.
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }

  async #obey(line: string): Promise<void> {
    let command: Command;
    try {
      command = parseCommand(splitWords(line), this.#form().tables);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      await this.#send([{ code: replyCode.parseError, text: error.message, final: true }]);
      return;
    }
    if (command.kind === 'restrict') this.#mayChange = false;
    if (changes(command) && !this.#mayChange) command = { kind: 'denied', word: line };
    const model = this.#options.model();
    if (model === undefined) {
      await this.#send([{ code: replyCode.runtimeError, text: startingText, final: true }]);
      return;
    }
    try {
      await this.#stream(answer(command, model, this.#form(), Date.now()));
    } catch (error) {
      this.#options.onModelError(error);
      const reason = error instanceof Error ? error.message : String(error);
      await this.#send([{ code: replyCode.runtimeError, text: `The agent failed to answer: ${reason}`, final: true }]);
    }
  }

  /** Leaving early ends the generators below, and with them the model's cursor. */
  async #stream(pieces: AsyncIterable<readonly ReplyLine[]>): Promise<void> {
    const slice = new TimeSlice();
    let text = '';
    for await (const lines of pieces) {
      for (const line of lines) text += this.#formatter.format(line);
      if (text.length >= pieceLength) {
        if (!(await this.#writer.write(text))) return;
        text = '';
      }
      await slice.restIfOver();
      if (this.#socket.destroyed) return;
    }
    await this.#writer.write(text);
  }

  async #send(lines: readonly ReplyLine[]): Promise<void> {
    await this.#writer.write(lines.map((line) => this.#formatter.format(line)).join(''));
  }
}

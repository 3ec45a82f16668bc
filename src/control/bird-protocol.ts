/**
 * The framing of BIRD's control protocol, as birdc 2.0 speaks it: commands are lines, an answer is lines that begin with
 * a four-digit code. `NNNN-text` more follows; ` text` as before, same code; `NNNN text` the last line of the answer.
 * First digit: 0 and 2 done, 1 tables, 8 refused at run time, 9 not understood.
 * Holds: no line is longer than birdc's buffer, and no text can forge a line of its own.
 */

import { StringDecoder } from 'node:string_decoder';

export const replyCode = {
  ok: '0000',
  welcome: '0001',
  readingConfiguration: '0002',
  reconfigured: '0003',
  alreadyDisabled: '0008',
  disabled: '0009',
  alreadyEnabled: '0010',
  enabled: '0011',
  restarted: '0012',
  statusReport: '0013',
  routeCount: '0014',
  reloading: '0015',
  accessRestricted: '0016',
  configurationOk: '0020',
  gracefulRestart: '0024',
  version: '1000',
  interfaceList: '1001',
  protocolList: '1002',
  interfaceAddresses: '1003',
  interfaceFlags: '1004',
  interfaceSummary: '1005',
  protocolDetails: '1006',
  routeList: '1007',
  routeDetails: '1008',
  symbols: '1010',
  uptime: '1011',
  routeAttributes: '1012',
  memory: '1018',
  bfdSessions: '1020',
  /** Ours from here to 1999: BIRD uses none of these. */
  help: '1900',
  policy: '1901',
  why: '1902',
  protocolHeader: '2002',
  interfaceHeader: '2005',
  routeNotFound: '8001',
  configurationFailed: '8002',
  noProtocolsMatch: '8003',
  reloadFailed: '8006',
  accessDenied: '8007',
  runtimeError: '8008',
  /** Ours: the pod of `show policy` is unknown. */
  podNotFound: '8900',
  commandTooLong: '9000',
  parseError: '9001',
} as const;

export type ReplyCode = (typeof replyCode)[keyof typeof replyCode];

/** A line of an answer as the commands make it; `final` ends the answer. */
export interface ReplyLine {
  readonly code: ReplyCode;
  readonly text: string;
  readonly final?: boolean;
}

/** birdc reads into 4096 bytes and gives up on a longer line. */
const longestLine = 4000;

/** Turns the lines of one answer into text; remembers which code the line before had. */
export class ReplyFormatter {
  #code = '';

  format(line: ReplyLine): string {
    const text = printable(line.text);
    if (line.final === true) {
      this.#code = '';
      return `${line.code} ${text}\n`;
    }
    if (line.code === this.#code) return ` ${text}\n`;
    this.#code = line.code;
    return `${line.code}-${text}\n`;
  }
}

/** A received line; `code` is the one of the line before where the line carries none. */
export interface ReceivedLine {
  readonly code: string;
  readonly text: string;
  readonly final: boolean;
}

/** What the other side sent is not this protocol. */
export class ReplySyntaxError extends Error {
  override readonly name = 'ReplySyntaxError';
}

/** Reads answers from a stream of bytes, however it is cut. */
export class ReplyParser {
  readonly #decoder = new StringDecoder('utf8');
  #pending = '';
  #code = '';

  /** @throws ReplySyntaxError on a line that carries no code. */
  push(chunk: Uint8Array): ReceivedLine[] {
    const lines = (this.#pending + this.#decoder.write(chunk)).split('\n');
    this.#pending = lines.pop() ?? '';
    if (this.#pending.length > 65_536) throw new ReplySyntaxError('a line does not end');
    return lines.map((line) => this.#parse(line));
  }

  #parse(line: string): ReceivedLine {
    if (line.startsWith(' ') && this.#code !== '') return { code: this.#code, text: line.slice(1), final: false };
    const head = /^(\d{4})([ -])/.exec(line);
    if (head === null) throw new ReplySyntaxError(`not a reply: '${line.slice(0, 60)}'`);
    this.#code = head[1];
    return { code: head[1], text: line.slice(5), final: head[2] === ' ' };
  }
}

/** A command's words; `"two words"` and `'so'` are one. An unclosed quote takes the rest. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/"([^"]*)"?|'([^']*)'?|[^\s"']+/g)) words.push(match[1] ?? match[2] ?? match[0]);
  return words;
}

/** The opposite: a line whose words are these. A word with both kinds of quotes cannot be told. */
export function joinWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[^\s"']+$/.test(word) ? word : word.includes('"') ? `'${word}'` : `"${word}"`))
    .join(' ');
}

/** Texts of peers (shutdown communications, descriptions) come here: a control character must not end the line. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are the subject
  const line = text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, '?');
  if (line.length <= longestLine && Buffer.byteLength(line) <= longestLine) return line;
  return `${new StringDecoder('utf8').write(Buffer.from(line).subarray(0, longestLine - 4))} ...`;
}

/**
 * `show bfd sessions`, as BIRD lays it out, and BFD's line in `show protocols all`.
 * Leaves out: interfaces, but of link-local addresses. Sessions are with addresses, and the kernel finds the way.
 */

import { splitScope } from '../../bgp/ip.ts';
import type { BfdStatus } from '../../bgp/index.ts';
import type { BirdForm } from './bird-form.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyLine } from './bird-protocol.ts';
import type { ProtocolStatus } from './model.ts';

const stateText = {
  adminDown: 'AdminDown',
  down: 'Down',
  init: 'Init',
  up: 'Up',
} as const satisfies Record<BfdStatus['state'], string>;

export function bfdSessionLines(protocols: readonly ProtocolStatus[], form: BirdForm): readonly ReplyLine[] {
  const texts = protocols.flatMap((protocol) =>
    protocol.kind === 'bgp' && protocol.peer.bfd !== undefined
      ? [sessionRow(protocol.peer.address, protocol.peer.bfd, form)]
      : [],
  );
  // BIRD has a table for each of its BFD protocols: we have one, named as BIRD names it.
  const header = row(form, 'IP address', 'Interface', 'State', 'Since', 'Interval', 'Timeout');
  return [
    ...['bfd1:', header, ...texts].map((text) => ({ code: replyCode.bfdSessions, text })),
    { code: replyCode.ok, text: '', final: true },
  ];
}

/** `Up, every 0.300 s, timeout 0.900 s` */
export function bfdText(bfd: BfdStatus): string {
  const words: string[] = [stateText[bfd.state]];
  if (bfd.multihop) words.push('multihop');
  if (bfd.state === 'up')
    words.push(
      `every ${seconds(bfd.transmitIntervalMilliseconds ?? 0)} s, timeout ${seconds(bfd.detectionTimeMilliseconds)} s`,
    );
  else if (bfd.diagnostic !== 'none') words.push(bfd.diagnostic);
  if (bfd.lastError !== undefined && bfd.state !== 'up') words.push(bfd.lastError);
  return words.join(', ');
}

function sessionRow(address: string, bfd: BfdStatus, form: BirdForm): string {
  const { state, since } = bfd;
  const { address: plain, scope = '---' } = splitScope(address);
  return row(
    form,
    plain,
    scope,
    stateText[state],
    form.time(since),
    seconds(bfd.transmitIntervalMilliseconds ?? 0),
    seconds(bfd.detectionTimeMilliseconds),
  );
}

function row(
  { bfdSinceWidth }: BirdForm,
  ...[address, interfaceName, state, since, every, after]: readonly string[]
): string {
  const left = `${address.padEnd(25)} ${interfaceName.padEnd(10)} ${state.padEnd(10)} ${since.padEnd(bfdSinceWidth)}`;
  return `${left}  ${every.padStart(8)} ${after.padStart(8)}`;
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

/**
 * `enable`, `disable`, `restart`, `reload`, `configure`: what they do and how BIRD words it.
 * Holds: only BGP sessions are changed; a name that is another protocol's is answered, never passed over.
 */

import { nameMatcher } from './bird-commands.ts';
import type { ChangeCommand } from './bird-commands.ts';
import { replyCode } from './bird-protocol.ts';
import type { ReplyCode, ReplyLine } from './bird-protocol.ts';
import type { ControlModel, PeerChange, PeerChangeOutcome, SourceProblemStatus } from './model.ts';
import { placeOf } from './place-text.ts';
import { protocolName } from './show-protocols.ts';

interface Wording {
  readonly done: readonly [code: ReplyCode, text: string];
  readonly unchanged: readonly [code: ReplyCode, text: string];
}

const alreadyDisabled = [replyCode.alreadyDisabled, 'already disabled'] as const;
const reload: Wording = { done: [replyCode.reloading, 'reloading'], unchanged: alreadyDisabled };

const wordings = {
  enable: { done: [replyCode.enabled, 'enabled'], unchanged: [replyCode.alreadyEnabled, 'already enabled'] },
  disable: { done: [replyCode.disabled, 'disabled'], unchanged: alreadyDisabled },
  restart: { done: [replyCode.restarted, 'restarted'], unchanged: alreadyDisabled },
  reload,
  reloadIn: reload,
  reloadOut: reload,
} as const satisfies Record<PeerChange, Wording>;

export async function changeLines(
  model: ControlModel,
  { change, pattern, text }: ChangeCommand,
): Promise<readonly ReplyLine[]> {
  const matches = nameMatcher(pattern);
  const meant = (await model.protocols()).filter((protocol) => matches(protocolName(protocol)));
  const peers = meant.filter(({ kind }) => kind === 'bgp').map(protocolName);
  const [other] = meant.filter(({ kind }) => kind !== 'bgp');
  if (peers.length === 0) {
    if (pattern === undefined) return ended([]);
    const reason = other === undefined ? 'No protocols match' : `${protocolName(other)} is no BGP session`;
    const code = other === undefined ? replyCode.noProtocolsMatch : replyCode.reloadFailed;
    return [{ code, text: reason, final: true }];
  }
  return ended((await model.changePeers(change, peers, text)).map((outcome) => outcomeLine(change, outcome)));
}

function outcomeLine(change: PeerChange, { name, outcome, reason }: PeerChangeOutcome): ReplyLine {
  if (outcome === 'failed') return { code: replyCode.reloadFailed, text: `${name}: ${reason}` };
  const [code, text] = wordings[change][outcome];
  return { code, text: `${name}: ${text}` };
}

export async function configureLines(model: ControlModel, check: boolean): Promise<readonly ReplyLine[]> {
  const { source } = await model.status();
  const reading: ReplyLine = {
    code: replyCode.readingConfiguration,
    text: `Reading configuration from ${source.text}`,
  };
  const problems = check ? source.problems : await model.rereadSource();
  if (problems.length > 0) {
    const last = `${problems.length === 1 ? 'One manifest is' : `${problems.length} manifests are`} refused; all others are in force`;
    return [
      reading,
      ...problems.map((problem) => ({ code: replyCode.configurationFailed, text: problemText(problem) })),
      { code: replyCode.configurationFailed, text: last, final: true },
    ];
  }
  return [
    reading,
    check
      ? { code: replyCode.configurationOk, text: 'Configuration OK', final: true }
      : { code: replyCode.reconfigured, text: 'Reconfigured', final: true },
  ];
}

function problemText(problem: SourceProblemStatus): string {
  return `${placeOf(problem)}${problem.reason}`;
}

function ended(lines: readonly ReplyLine[]): readonly ReplyLine[] {
  return [...lines, { code: replyCode.ok, text: '', final: true }];
}

/** A small machine that runs a Ruleset value: what the kernel would answer, without a kernel. */

import { parseAddress, parsePrefix, prefixContains, compareBytes } from '../../bgp/ip.ts';
import type { NftCommand } from '../../dataplane/nft/diff.ts';
import type { NftChain, NftField, NftMatch, NftSet, NftVerdict, Ruleset } from '../../dataplane/nft/ruleset.ts';

export interface Packet {
  /** The connection's ends. */
  readonly initiator: string;
  readonly responder: string;
  /** IANA's number. */
  readonly protocol: '6' | '17' | '132' | '1' | '58';
  readonly port?: number;
  readonly state?: 'new' | 'established' | 'related' | 'invalid';
}

/** @returns the verdict of all base chains on the packet, in the original direction */
export function runRuleset(ruleset: Ruleset, packet: Packet): 'accept' | 'drop' {
  const bases = [...ruleset.chains.values()].filter((chain) => chain.hook);
  bases.sort((a, b) => a.hook!.priority - b.hook!.priority);
  return bases.every((chain) => runChain(ruleset, chain, packet) !== 'drop') ? 'accept' : 'drop';
}

function runChain(ruleset: Ruleset, chain: NftChain, packet: Packet): 'accept' | 'drop' | undefined {
  for (const { matches, verdict } of chain.rules) {
    if (!matches.every((match) => matchHolds(ruleset, match, packet)) || verdict === undefined) continue;
    let chosen: NftVerdict | undefined;
    if (verdict.kind === 'verdictMap') {
      const key = fieldOf(verdict.field, packet);
      chosen = key === undefined ? undefined : setOf(ruleset, verdict.map).elements.get(key)?.verdict;
    } else if (verdict.kind === 'masquerade') throw new Error('no machine for NAT');
    else chosen = verdict;
    if (chosen === undefined) continue;
    if (chosen.kind === 'accept' || chosen.kind === 'drop') return chosen.kind;
    const answer = runChain(ruleset, chainOf(ruleset, chosen.chain), packet);
    if (answer !== undefined || chosen.kind === 'goto') return answer;
  }
  return undefined;
}

function matchHolds(ruleset: Ruleset, match: NftMatch, packet: Packet): boolean {
  if (match.kind === 'notInSet') throw new Error('no machine for NAT');
  if (match.kind === 'inPrefix') throw new Error('no machine for links');
  if (match.kind === 'equals') return fieldOf(match.field, packet) === match.value;
  if (match.kind === 'hasState') return match.states.some((state) => state === packet.state);
  const values = match.fields.map((field) => fieldOf(field, packet));
  if (values.includes(undefined)) return false;
  const { elements, interval } = setOf(ruleset, match.set);
  const key = values.join(' . ');
  if (!interval) return elements.has(key);
  return [...elements.keys()].some((range) => inRange(range, key));
}

function inRange(range: string, value: string): boolean {
  if (range.includes('/')) return prefixContains(parsePrefix(range)!, parseAddress(value)!);
  const [first, last = first] = range.split('-');
  const bytes = (text: string) => parseAddress(text) ?? Uint8Array.of(Number(text) >> 8, Number(text) & 0xff);
  return compareBytes(bytes(first), bytes(value)) <= 0 && compareBytes(bytes(value), bytes(last)) <= 0;
}

function fieldOf(field: NftField, packet: Packet): string | undefined {
  const ofFamily = (address: string, six: boolean) => (address.includes(':') === six ? address : undefined);
  const connected = packet.state !== 'invalid';
  switch (field) {
    case 'initiator4':
    case 'initiator6':
      return connected ? ofFamily(packet.initiator, field.endsWith('6')) : undefined;
    case 'responder4':
    case 'responder6':
      return connected ? ofFamily(packet.responder, field.endsWith('6')) : undefined;
    case 'source4':
    case 'source6':
      return ofFamily(packet.initiator, field.endsWith('6'));
    case 'destination4':
    case 'destination6':
      return ofFamily(packet.responder, field.endsWith('6'));
    case 'protocol':
      return packet.protocol;
    case 'responderPort':
      return connected && packet.port !== undefined ? String(packet.port) : undefined;
    case 'interfaceGroup':
    case 'reversePath':
      throw new Error('no machine for links');
    case 'connectionState':
      return packet.state ?? 'new';
  }
}

/** Runs a transaction's commands as strictly as the kernel: what is referred to must be there, what goes must be unused. */
export function runCommands(before: Ruleset, commands: readonly NftCommand[]): Ruleset {
  const sets = new Map(before.sets);
  const chains = new Map(before.chains);
  const state = { sets, chains };
  for (const command of commands) {
    if (command.kind === 'renewTable' || command.kind === 'removeTable') {
      sets.clear();
      chains.clear();
      continue;
    }
    const { name } = command;
    switch (command.kind) {
      case 'addSet':
        absent(sets, name);
        sets.set(name, { ...command.set, elements: new Map() });
        break;
      case 'addChain':
        absent(chains, name);
        chains.set(name, { ...command.chain, rules: [] });
        break;
      case 'flushChain':
        chains.set(name, { ...chainOf(state, name), rules: [] });
        break;
      case 'addRules':
        for (const rule of command.chain.rules) {
          for (const match of rule.matches) if (match.kind === 'inSet') setOf(state, match.set);
          if (rule.verdict?.kind === 'verdictMap') setOf(state, rule.verdict.map);
          else if (rule.verdict && 'chain' in rule.verdict) chainOf(state, rule.verdict.chain);
        }
        chains.set(name, { ...chainOf(state, name), rules: [...chainOf(state, name).rules, ...command.chain.rules] });
        break;
      case 'deleteElements': {
        const elements = new Map(setOf(state, name).elements);
        for (const key of command.keys) if (!elements.delete(key)) throw new Error(`no element ${key} in ${name}`);
        sets.set(name, { ...setOf(state, name), elements });
        break;
      }
      case 'addElements': {
        const elements = new Map(setOf(state, name).elements);
        for (const [key, element] of command.elements) {
          absent(elements, key);
          if (element.verdict && 'chain' in element.verdict) chainOf(state, element.verdict.chain);
          elements.set(key, element);
        }
        sets.set(name, { ...setOf(state, name), elements });
        break;
      }
      case 'deleteChain':
        chains.delete(name);
        unused(state, 'chain', name);
        break;
      case 'deleteSet':
        sets.delete(name);
        unused(state, 'set', name);
        break;
    }
  }
  return state;
}

function unused(ruleset: Ruleset, word: 'chain' | 'set', name: string): void {
  const used = [
    ...[...ruleset.chains.values()].flatMap(({ rules }) =>
      rules.flatMap(({ matches, verdict }) => [
        ...matches.flatMap((match) => (match.kind === 'inSet' ? [`set ${match.set}`] : [])),
        ...(verdict?.kind === 'verdictMap' ? [`set ${verdict.map}`] : []),
        ...(verdict && 'chain' in verdict ? [`chain ${verdict.chain}`] : []),
      ]),
    ),
    ...[...ruleset.sets.values()].flatMap(({ elements }) =>
      [...elements.values()].flatMap(({ verdict }) =>
        verdict && 'chain' in verdict ? [`chain ${verdict.chain}`] : [],
      ),
    ),
  ];
  if (used.includes(`${word} ${name}`)) throw new Error(`${word} ${name} is still used`);
}

function setOf(ruleset: Ruleset, name: string): NftSet {
  const set = ruleset.sets.get(name);
  if (set === undefined) throw new Error(`no set ${name}`);
  return set;
}

function chainOf(ruleset: Ruleset, name: string): NftChain {
  const chain = ruleset.chains.get(name);
  if (chain === undefined) throw new Error(`no chain ${name}`);
  return chain;
}

function absent(map: ReadonlyMap<string, unknown>, name: string): void {
  if (map.has(name)) throw new Error(`${name} is there already`);
}

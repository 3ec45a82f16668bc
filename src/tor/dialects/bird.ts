/** BIRD 2: a file to include in bird.conf; with BFD, `protocol bfd` has to be in there, too. */

import { families, type Family } from '../../../bgp/ip.ts';
import type { SwitchNeighbor, SwitchSide } from '../switch-side.ts';
import { heading, ofFamily, prefixLength, roleWords, symbol } from '../words.ts';

export function bird(side: SwitchSide): readonly string[] {
  const base = `godwit_${symbol(side.name)}`;
  return [
    ...heading(side, '#'),
    ...families.flatMap((family) => (side.families.includes(family) ? ['', ...filters(side, base, family)] : [])),
    '',
    `template bgp ${base} {`,
    ...indented([
      side.address === undefined ? `local as ${side.asNumber};` : `local ${side.address} as ${side.asNumber};`,
      `hold time ${side.holdTimeSeconds};`,
      ...(side.holdTimeSeconds === 0 ? [] : [`keepalive time ${side.keepaliveSeconds};`]),
      side.restartTimeSeconds + side.longLivedStaleSeconds === 0
        ? 'graceful restart off;'
        : 'graceful restart aware;  # keeps the routes of a node whose agent restarts',
      ...(side.longLivedStaleSeconds === 0
        ? []
        : ['long lived graceful restart aware;  # for longer, as a last resort']),
      ...(side.role === undefined ? [] : [`local role ${roleWords[side.role]};`]),
      ...reach(side),
      ...bfd(side),
    ]),
    '}',
    ...side.neighbors.flatMap((neighbor) => ['', ...protocol(side, base, neighbor)]),
  ];
}

function filters(side: SwitchSide, base: string, family: Family): string[] {
  const allowed = ofFamily(side, family).map((entry) => `${entry.prefix}{${prefixLength(entry)},${entry.longest}}`);
  const set = `${base}_${family}`;
  // BIRD has no empty set of prefixes.
  const inside = allowed.length === 0 ? 'false' : `net ~ [ ${allowed.join(', ')} ]`;
  return [
    `function ${set}_pods() { return ${inside}; }`,
    // RFC 8326: a node that is about to go marks what it tells; within the AS it says LOCAL_PREF 0 by itself.
    `filter ${set}_in { if ! ${set}_pods() then reject;${side.external ? ' if (65535, 0) ~ bgp_community then bgp_local_pref = 0;' : ''} accept; }`,
    side.tellsClusterRoutes
      ? `filter ${set}_out { if source = RTS_BGP || source = RTS_STATIC then accept; reject; }`
      : `filter ${set}_out { if ${set}_pods() then reject; if source = RTS_BGP || source = RTS_STATIC then accept; reject; }`,
  ];
}

function reach({ ttlSecurityHops, multihop }: SwitchSide): string[] {
  if (ttlSecurityHops !== undefined) {
    return [...(ttlSecurityHops > 1 ? [`multihop ${ttlSecurityHops};`] : ['direct;']), 'ttl security on;'];
  }
  return multihop === undefined || multihop === 1 ? [] : [`multihop ${multihop};`];
}

/** BIRD's BFD sessions are single hop or multihop as the BGP session is direct or not. */
function bfd({ bfd: wanted, restartTimeSeconds }: SwitchSide): string[] {
  if (wanted === undefined) return [];
  return [
    // Otherwise BIRD takes the end of the agent's BFD for a failure, and its restart for a loss.
    `bfd ${restartTimeSeconds === 0 ? 'on' : 'graceful'};`,
    `bfd { min tx interval ${wanted.minimumTransmitMilliseconds} ms; min rx interval ${wanted.minimumReceiveMilliseconds} ms; multiplier ${wanted.detectMultiplier}; };`,
  ];
}

function protocol(side: SwitchSide, base: string, neighbor: SwitchNeighbor): string[] {
  const port = neighbor.port === 179 ? '' : ` port ${neighbor.port}`;
  return [
    `protocol bgp ${base}_${symbol(neighbor.nodeName)} from ${base} {`,
    ...indented([
      `description "node ${neighbor.nodeName}";`,
      `neighbor ${neighbor.address}${port} as ${neighbor.asNumber};`,
      ...(neighbor.reflectorClient ? ['rr client;'] : []),
      ...side.families.flatMap((family) => [
        `${family} {`,
        ...indented([
          `import filter ${base}_${family}_in;`,
          `export filter ${base}_${family}_out;`,
          `receive limit ${neighbor.maximumPrefixes[family]} action restart;`,
        ]),
        '};',
      ]),
    ]),
    '}',
  ];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

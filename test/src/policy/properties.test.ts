/** Random clusters: the specification, the compiled rules and the rendered table give one answer. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffRulesets } from '../../../dataplane/nft/diff.ts';
import { emptyRuleset, type Ruleset } from '../../../dataplane/nft/ruleset.ts';
import { PolicyEngine } from '../../../src/policy/engine.ts';
import type { Resource, ResourceChange } from '../../../src/resources/resource.ts';
import { runCommands, runRuleset, type Packet } from '../../kit/nft-machine.ts';
import { deletions, upserts } from './manifests.ts';
import { oracleAllows, type OracleFlow, type World } from './oracle.ts';
import { objectsOf, world } from './random-clusters.ts';

const outside = { ipv4: ['192.0.2.1', '192.0.2.200'], ipv6: ['2001:db8::1'] };

function flowsOf({ pods }: World): OracleFlow[] {
  const flows: OracleFlow[] = [];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const own = pods.map(({ status }) =>
      status.podIPs.map(({ ip }) => ip).find((ip) => ip.includes(':') === (family === 'ipv6'))!,
    );
    const ends = [...own, ...outside[family]];
    for (const from of ends) {
      for (const to of ends) {
        for (const protocol of ['TCP', 'UDP', 'SCTP', 'ICMP'] as const) {
          for (const port of protocol === 'ICMP' ? [0] : [80, 81, 8080]) flows.push({ from, to, protocol, port });
        }
      }
    }
  }
  return flows;
}

function packetOf({ from, to, protocol, port }: OracleFlow): Packet {
  const numbers = { TCP: '6', UDP: '17', SCTP: '132', ICMP: from.includes(':') ? '58' : '1' } as const;
  return { initiator: from, responder: to, protocol: numbers[protocol], ...(protocol !== 'ICMP' && { port }) };
}

function engineWith(nodeName: string, objects: readonly Resource[]): PolicyEngine {
  const engine = new PolicyEngine({ nodeName });
  engine.onChanges(upserts(...objects));
  return engine;
}

test('the specification, explainFlow and the tables of both nodes agree on every flow', () => {
  fc.assert(
    fc.property(world, (cluster) => {
      const engines = ['here', 'there'].map((nodeName) => engineWith(nodeName, objectsOf(cluster)));
      const tables = engines.map((engine) => engine.render());
      for (const flow of flowsOf(cluster)) {
        const expected = oracleAllows(cluster, flow);
        const verdict = engines[0].explainFlow(flow);
        const passes = tables.every((table) => runRuleset(table, packetOf(flow)) === 'accept');
        if (verdict.kind !== 'judged' || verdict.allowed !== expected || passes !== expected) {
          throw new Error(`${JSON.stringify(flow)}: expected ${expected}, ${JSON.stringify(verdict)}, table ${passes}`);
        }
      }
    }),
    { numRuns: 120 },
  );
});

test('the table depends on the objects only, not on their order, nor on what was there before', () => {
  const story = fc.tuple(world, world).chain(([before, after]) =>
    fc.record({
      before: fc.constant(before),
      after: fc.constant(after),
      changes: fc.shuffledSubarray(changesBetween(before, after), { minLength: changesBetween(before, after).length }),
    }),
  );
  fc.assert(
    fc.property(story, ({ before, after, changes }) => {
      const engine = engineWith('here', objectsOf(before));
      let kernel = runCommands(emptyRuleset, diffRulesets(emptyRuleset, engine.render()));
      for (const change of changes) {
        const held = engine.render();
        engine.onChanges([change]);
        // Every step is a transaction that a strict kernel takes.
        kernel = runCommands(kernel, diffRulesets(held, engine.render()));
      }
      const fresh = engineWith('here', objectsOf(after)).render();
      expect(sorted(engine.render())).toEqual(sorted(fresh));
      expect(sorted(kernel)).toEqual(sorted(fresh));
    }),
    { numRuns: 80 },
  );
});

function changesBetween(before: World, after: World): ResourceChange[] {
  const key = ({ kind, metadata }: Resource) =>
    `${kind} ${'namespace' in metadata ? metadata.namespace : ''}/${metadata.name}`;
  const wanted = new Set(objectsOf(after).map(key));
  return [
    ...upserts(...objectsOf(after)),
    ...deletions(...objectsOf(before).filter((object) => !wanted.has(key(object)))),
  ];
}

function sorted({ sets, chains }: Ruleset) {
  const entries = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    sets: entries(sets).map(([name, set]) => [name, { ...set, elements: entries(set.elements) }]),
    chains: entries(chains),
  };
}

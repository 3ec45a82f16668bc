/** Objects that exclude each other: what is in force stays. */

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { validateManifest, type Resource } from '../../../src/resources/resource.ts';
import { poolsOverlap, type IpPool } from '../../../src/resources/ip-pool.ts';
import { admit, type Candidate } from '../../../src/source/admission.ts';

const none: ReadonlyMap<string, Candidate> = new Map();

describe('of two objects of a name', () => {
  test('the first file counts at the beginning, and the other one is told both places', () => {
    const { inForce, refusals } = admit([node('a', 'a.yaml', '1'), node('a', 'b.yaml', '2', 3)], none);
    expect(labelsOf(inForce)).toEqual({ 'Node a': '1' });
    expect(refusals).toEqual([
      {
        candidate: node('a', 'b.yaml', '2', 3),
        reason: 'Node a is already defined in a.yaml, line 1, which stays in force',
      },
    ]);
  });

  test('the one in force stays, whatever the name of its file, also when it changes', () => {
    const before = admit([node('a', 'z.yaml', '1')], none).inForce;
    const { inForce, refusals } = admit([node('a', 'a.yaml', '2'), node('a', 'z.yaml', '3')], before);
    expect(labelsOf(inForce)).toEqual({ 'Node a': '3' });
    expect(refusals.map(({ candidate }) => candidate.file)).toEqual(['a.yaml']);
  });

  test('of one file, the one in force is known again after others came before it', () => {
    const before = admit([node('a', 'a.yaml', '1', 1)], none).inForce;
    const { inForce } = admit([node('a', 'a.yaml', '2', 1), node('a', 'a.yaml', '1', 2)], before);
    expect(labelsOf(inForce)).toEqual({ 'Node a': '1' });
  });

  test('the other takes over when the one in force is gone', () => {
    const before = admit([node('a', 'a.yaml', '1'), node('a', 'b.yaml', '2')], none).inForce;
    const { inForce, refusals } = admit([node('a', 'b.yaml', '2')], before);
    expect(labelsOf(inForce)).toEqual({ 'Node a': '2' });
    expect(refusals).toEqual([]);
  });
});

describe('of two pools that overlap', () => {
  test('the later place is refused at the beginning', () => {
    const { inForce, refusals } = admit([pool('a', '10.0.0.0/8'), pool('b', '10.244.0.0/16')], none);
    expect(cidrsOf(inForce)).toEqual({ a: '10.0.0.0/8' });
    expect(refusals).toEqual([
      {
        candidate: pool('b', '10.244.0.0/16'),
        field: 'spec.cidr',
        reason: '10.244.0.0/16 overlaps 10.0.0.0/8 of IPPool a in a.yaml, line 1',
      },
    ]);
  });

  test('the one that was created later is refused, where an API server dated them', () => {
    const { inForce } = admit(
      [pool('a', '10.0.0.0/8', '2026-02-01T00:00:00Z'), pool('b', '10.244.0.0/16', '2026-01-01T00:00:00Z')],
      none,
    );
    expect(cidrsOf(inForce)).toEqual({ b: '10.244.0.0/16' });
  });

  test('the newcomer is refused, whatever its name', () => {
    const before = admit([pool('b', '10.244.0.0/16')], none).inForce;
    const { inForce } = admit([pool('a', '10.0.0.0/8'), pool('b', '10.244.0.0/16')], before);
    expect(cidrsOf(inForce)).toEqual({ b: '10.244.0.0/16' });
  });

  test('a change that makes them overlap is refused and leaves the pool as it was', () => {
    const before = admit([pool('a', '10.1.0.0/16'), pool('b', '10.2.0.0/16')], none).inForce;
    const { inForce, refusals } = admit([pool('a', '10.0.0.0/8'), pool('b', '10.2.0.0/16')], before);
    expect(cidrsOf(inForce)).toEqual({ a: '10.1.0.0/16', b: '10.2.0.0/16' });
    expect(refusals.map(({ reason }) => reason)).toEqual([
      '10.0.0.0/8 overlaps 10.2.0.0/16 of IPPool b in b.yaml, line 1',
    ]);
  });

  test('who takes the old range of a pool whose change is refused is refused too', () => {
    const before = admit([pool('a', '10.1.0.0/16'), pool('b', '10.2.0.0/16')], none).inForce;
    const now = [pool('a', '10.2.0.0/17'), pool('b', '10.2.0.0/16'), pool('c', '10.1.0.0/16')];
    const { inForce, refusals } = admit(now, before);
    expect(cidrsOf(inForce)).toEqual({ a: '10.1.0.0/16', b: '10.2.0.0/16' });
    expect(refusals.map(({ candidate }) => candidate.resource.metadata.name)).toEqual(['a', 'c']);
  });

  test('two pools may change places at once', () => {
    const before = admit([pool('a', '10.1.0.0/16'), pool('b', '10.2.0.0/16')], none).inForce;
    const { inForce, refusals } = admit([pool('a', '10.2.0.0/16'), pool('b', '10.1.0.0/16')], before);
    expect(cidrsOf(inForce)).toEqual({ a: '10.2.0.0/16', b: '10.1.0.0/16' });
    expect(refusals).toEqual([]);
  });
});

test('whatever comes: pools in force never overlap, and none that is still there is lost', () => {
  const ranges = ['10.0.0.0/8', '10.0.0.0/9', '10.128.0.0/9', '10.0.0.0/10', '10.64.0.0/10', '11.0.0.0/8', 'fd00::/8'];
  const folder = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.constantFrom(...ranges));
  fc.assert(
    fc.property(fc.array(folder, { maxLength: 5 }), (story) => {
      let inForce = none;
      for (const pools of story) {
        const before = inForce;
        ({ inForce } = admit(
          Object.entries(pools).map(([name, cidr]) => pool(name, cidr)),
          before,
        ));
        const all = [...inForce.values()].map(({ resource }) => resource as IpPool);
        for (const one of all) for (const other of all) expect(one !== other && poolsOverlap(one, other)).toBe(false);
        for (const [key, { resource }] of before) {
          if (resource.metadata.name in pools) expect(inForce.has(key)).toBe(true);
        }
      }
    }),
  );
});

function node(name: string, file: string, mark: string, document = 1): Candidate {
  const resource = valid({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { mark } } });
  return { resource, file, document, line: 1 };
}

function pool(name: string, cidr: string, creationTimestamp?: string): Candidate {
  const resource = valid({
    apiVersion: 'godwit.dev/v1',
    kind: 'IPPool',
    metadata: { name, creationTimestamp },
    spec: { cidr },
  });
  return { resource, file: `${name}.yaml`, document: 1, line: 1 };
}

function labelsOf(inForce: ReadonlyMap<string, Candidate>) {
  return Object.fromEntries([...inForce].map(([key, { resource }]) => [key, resource.metadata.labels.mark]));
}

function cidrsOf(inForce: ReadonlyMap<string, Candidate>) {
  return Object.fromEntries(
    [...inForce.values()].map(({ resource }) => [resource.metadata.name, (resource as IpPool).spec.cidr]),
  );
}

function valid(manifest: unknown): Resource {
  const validation = validateManifest(manifest);
  if (validation.kind !== 'valid') throw new Error(`not valid: ${JSON.stringify(validation)}`);
  return validation.resource;
}

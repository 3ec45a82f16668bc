/** Kubernetes' own kinds: trimmed to what is used, completed as an API server does, refused where they mean nothing. */

import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { annotatedAsNumber, internalIp, routeReflectorClusterId, type Node } from '../../../src/resources/node.ts';
import { namedPorts, type Pod } from '../../../src/resources/pod.ts';
import { formatProblem } from '../../../src/resources/problems.ts';
import { secretBytes, type Secret } from '../../../src/resources/secret.ts';
import { validateManifest, type Resource } from '../../../src/resources/resource.ts';

describe('a Node', () => {
  test('as an API server shows it is trimmed to labels, annotations, pod ranges and addresses', () => {
    expect(
      valid(`
        apiVersion: v1
        kind: Node
        metadata:
          name: a
          uid: 7c1
          labels: { rack: "1" }
          annotations: { godwit.dev/route-reflector-cluster-id: 10.0.0.1, godwit.dev/as-number: "1.10" }
          creationTimestamp: "2026-08-01T10:00:00Z"
        spec:
          podCIDR: 10.244.1.0/24
          podCIDRs: [10.244.1.0/24, "FD00:1::/64"]
          taints: [{ key: a, effect: NoSchedule }]
        status:
          capacity: { cpu: "2" }
          addresses:
            - { type: InternalIP, address: 10.1.1.11 }
            - { type: InternalIP, address: "FD00::11" }
            - { type: Hostname, address: a.example.com }
      `),
    ).toEqual({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        uid: '7c1',
        name: 'a',
        labels: { rack: '1' },
        annotations: { 'godwit.dev/route-reflector-cluster-id': '10.0.0.1', 'godwit.dev/as-number': '1.10' },
        creationTimestamp: '2026-08-01T10:00:00Z',
      },
      spec: { podCIDRs: ['10.244.1.0/24', 'fd00:1::/64'] },
      status: {
        addresses: [
          { type: 'InternalIP', address: '10.1.1.11' },
          { type: 'InternalIP', address: 'fd00::11' },
          { type: 'Hostname', address: 'a.example.com' },
        ],
      },
    });
  });

  test('its first InternalIP of a family, its AS number and its cluster id are found', () => {
    const node = valid(`
      apiVersion: v1
      kind: Node
      metadata:
        name: a
        annotations: { godwit.dev/route-reflector-cluster-id: 10.0.0.1, godwit.dev/as-number: "1.10" }
      status:
        addresses:
          - { type: ExternalIP, address: 192.0.2.1 }
          - { type: InternalIP, address: "fd00::11" }
          - { type: InternalIP, address: 10.1.1.11 }
          - { type: InternalIP, address: 10.1.1.12 }
    `) as Node;
    expect(internalIp(node, 'ipv4')).toBe('10.1.1.11');
    expect(internalIp(node, 'ipv6')).toBe('fd00::11');
    expect(annotatedAsNumber(node)).toBe(65546);
    expect(routeReflectorClusterId(node)).toBe('10.0.0.1');
    const bare = valid('{ apiVersion: v1, kind: Node, metadata: { name: b } }') as Node;
    expect(internalIp(bare, 'ipv4')).toBeUndefined();
    expect(annotatedAsNumber(bare)).toBeUndefined();
    expect(routeReflectorClusterId(bare)).toBeUndefined();
  });

  test('podCIDR alone is the first of podCIDRs', () => {
    expect(
      valid('{ apiVersion: v1, kind: Node, metadata: { name: a }, spec: { podCIDR: 10.244.1.0/24 } }'),
    ).toMatchObject({
      spec: { podCIDRs: ['10.244.1.0/24'] },
    });
  });

  test.each([
    ['spec: { podCIDR: 10.244.1.1/24 }', 'spec.podCIDR: 10.244.1.1/24 has host bits set (write 10.244.1.0/24)'],
    [
      'spec: { podCIDRs: [10.244.1.0] }',
      'spec.podCIDRs[0]: "10.244.1.0" is not a CIDR such as 10.0.0.0/16 (the length is missing)',
    ],
    [
      'status: { addresses: [{ type: InternalIP, address: 10.1.1 }] }',
      'status.addresses[0].address: "10.1.1" is not an IP address',
    ],
  ])('with %s is refused', (fields, problem) => {
    expect(problemsOf(`{ apiVersion: v1, kind: Node, metadata: { name: a }, ${fields} }`)).toEqual([problem]);
  });

  test.each([
    ['godwit.dev/graceful-shutdown', 'yes', '"yes" is neither "true" nor "false"'],
    ['godwit.dev/route-reflector-cluster-id', 'rr1', '"rr1" is not a cluster id of the form 10.0.0.1'],
    ['godwit.dev/route-reflector-cluster-id', 'fd00::1', '"fd00::1" is not a cluster id of the form 10.0.0.1'],
    ['godwit.dev/route-reflector-cluster-id', '0.0.0.0', '"0.0.0.0" is not a cluster id of the form 10.0.0.1'],
    ['godwit.dev/as-number', '0', '0 is reserved (RFC 7607)'],
    ['godwit.dev/as-number', 'x', '"x" is not an AS number (a number, or "x.y")'],
  ])('with the annotation %s: %s is refused', (annotation, value, reason) => {
    const manifest = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a', annotations: { [annotation]: value } } };
    expect(problemsOf(JSON.stringify(manifest))).toEqual([`metadata.annotations["${annotation}"]: ${reason}`]);
  });
});

describe('a Pod', () => {
  const pod = (fields: string) => `{ apiVersion: v1, kind: Pod, metadata: { name: web, namespace: shop }, ${fields} }`;

  test('is trimmed; containers that run on from the beginning count; podIP is one of podIPs', () => {
    expect(
      valid(
        pod(`
          spec: {
            nodeName: a,
            containers: [{ name: web, image: nginx, ports: [{ name: http, containerPort: 80 }] }],
            initContainers: [
              { name: setup, ports: [{ name: http, containerPort: 1 }] },
              { name: proxy, restartPolicy: Always, ports: [{ name: http, containerPort: 81, protocol: UDP }] },
            ],
            volumes: [],
          },
          status: { phase: Running, podIP: 10.244.1.2, podIPs: [{ ip: "FD00::2" }], qosClass: Burstable }
        `),
      ),
    ).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'shop', labels: {}, annotations: {} },
      spec: {
        nodeName: 'a',
        hostNetwork: false,
        containers: [
          { name: 'web', ports: [{ name: 'http', containerPort: 80, protocol: 'TCP' }] },
          { name: 'proxy', ports: [{ name: 'http', containerPort: 81, protocol: 'UDP' }] },
        ],
      },
      status: { phase: 'Running', podIPs: [{ ip: '10.244.1.2' }, { ip: 'fd00::2' }] },
    });
  });

  test.each([
    ['with an address runs', 'status: { podIPs: [{ ip: 10.244.1.2 }] }', 'Running'],
    ['without an address is pending', 'status: {}', 'Pending'],
    ['is what it says', 'status: { phase: Failed, podIP: 10.244.1.2 }', 'Failed'],
  ])('%s', (_, fields, phase) => {
    expect(valid(pod(fields))).toMatchObject({ status: { phase } });
  });

  test.each<[string, string, readonly string[]]>([
    ['published before the status', '{}', ['10.244.1.2', 'fd00::2']],
    ['published and in the status', '{ podIPs: [{ ip: 10.244.1.2 }] }', ['10.244.1.2', 'fd00::2']],
    [
      'a sandbox made anew, of which the status does not know',
      '{ podIP: 10.244.1.1 }',
      ['10.244.1.1', '10.244.1.2', 'fd00::2'],
    ],
  ])('its addresses are what its node published, too: %s', (_, status, ips) => {
    const metadata = `metadata: { name: web, annotations: { godwit.dev/pod-ips: "10.244.1.2, FD00::2, nonsense" } }`;
    expect(valid(`{ apiVersion: v1, kind: Pod, ${metadata}, status: ${status} }`)).toMatchObject({
      status: { podIPs: ips.map((ip) => ({ ip })) },
    });
  });

  test('without a namespace is in "default"', () => {
    expect(valid('{ apiVersion: v1, kind: Pod, metadata: { name: web } }')).toMatchObject({
      metadata: { namespace: 'default' },
    });
  });

  test('its ports of a name and a protocol are found, each once', () => {
    const ports = (...numbers: number[]) => numbers.map((containerPort) => ({ name: 'http', containerPort }));
    const web = valid(
      pod(
        `spec: { containers: ${JSON.stringify([
          { name: 'a', ports: ports(80, 81) },
          { name: 'b', ports: [...ports(80), { name: 'http', containerPort: 82, protocol: 'UDP' }] },
        ])} }`,
      ),
    ) as Pod;
    expect(namedPorts(web, 'http', 'TCP')).toEqual([80, 81]);
    expect(namedPorts(web, 'http', 'UDP')).toEqual([82]);
    expect(namedPorts(web, 'https', 'TCP')).toEqual([]);
  });

  test.each([
    ['status: { podIPs: [{ ip: 10.244.1 }] }', 'status.podIPs[0].ip: "10.244.1" is not an IP address'],
    ['status: { phase: Happy }', 'status.phase: "Happy" is not one of Pending, Running, Succeeded, Failed, Unknown'],
    [
      'spec: { containers: [{ name: web, ports: [{ containerPort: 0 }] }] }',
      'spec.containers[0].ports[0].containerPort: 0 is less than 1',
    ],
  ])('with %s is refused', (fields, problem) => {
    expect(problemsOf(pod(fields))).toEqual([problem]);
  });
});

test("a Namespace carries the label of its name, as an API server's does", () => {
  expect(valid('{ apiVersion: v1, kind: Namespace, metadata: { name: shop, labels: { team: a } } }')).toMatchObject({
    metadata: { name: 'shop', labels: { team: 'a', 'kubernetes.io/metadata.name': 'shop' } },
  });
});

test('a Namespace has a name without dots', () => {
  expect(problemsOf('{ apiVersion: v1, kind: Namespace, metadata: { name: shop.eu } }')).toEqual([
    'metadata.name: must be lower case letters, digits and "-", beginning and ending with a letter or digit',
  ]);
});

describe('a NetworkPolicy', () => {
  const policy = (spec: string) =>
    `{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: p, namespace: shop }, spec: ${spec} }`;

  test('comes out in full, with protocols and lists filled in', () => {
    expect(
      valid(
        policy(`{
          podSelector: { matchLabels: { app: web } },
          ingress: [{
            from: [
              { podSelector: {}, namespaceSelector: { matchExpressions: [{ key: team, operator: Exists }] } },
              { ipBlock: { cidr: 10.0.0.7/8, except: [10.1.0.0/16] } },
            ],
            ports: [{ port: http }, { protocol: UDP, port: 53, endPort: 54 }, {}],
          }],
          egress: [{}],
        }`),
      ),
    ).toEqual({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p', namespace: 'shop', labels: {}, annotations: {} },
      spec: {
        podSelector: { matchLabels: { app: 'web' }, matchExpressions: [] },
        policyTypes: ['Ingress', 'Egress'],
        ingress: [
          {
            from: [
              {
                podSelector: { matchLabels: {}, matchExpressions: [] },
                namespaceSelector: {
                  matchLabels: {},
                  matchExpressions: [{ key: 'team', operator: 'Exists', values: [] }],
                },
              },
              { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } },
            ],
            ports: [{ protocol: 'TCP', port: 'http' }, { protocol: 'UDP', port: 53, endPort: 54 }, { protocol: 'TCP' }],
          },
        ],
        egress: [{ ports: [], to: [] }],
      },
    });
  });

  test.each([
    ['nothing said: Ingress', '{ podSelector: {} }', ['Ingress']],
    ['egress rules: both', '{ podSelector: {}, egress: [{}] }', ['Ingress', 'Egress']],
    ['no egress rule: Ingress', '{ podSelector: {}, egress: [] }', ['Ingress']],
    ['as told', '{ podSelector: {}, policyTypes: [Egress], ingress: [{}] }', ['Egress']],
    ['twice told', '{ podSelector: {}, policyTypes: [Egress, Egress] }', ['Egress']],
  ])('policyTypes, %s', (_, spec, policyTypes) => {
    expect(valid(policy(spec))).toMatchObject({ spec: { policyTypes } });
  });

  test.each([
    [
      'a bad CIDR',
      'ingress: [{ from: [{ ipBlock: { cidr: 10.0.0 } }] }]',
      'ingress[0].from[0].ipBlock.cidr: "10.0.0" is not a CIDR such as 10.0.0.0/16',
    ],
    [
      'an exception outside',
      'egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/8, except: [11.0.0.0/16] } }] }]',
      'egress[0].to[0].ipBlock.except[0]: 11.0.0.0/16 is not a part of 10.0.0.0/8',
    ],
    [
      'an exception of everything',
      'egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/8, except: [10.0.0.0/8] } }] }]',
      'egress[0].to[0].ipBlock.except[0]: 10.0.0.0/8 is not a part of 10.0.0.0/8',
    ],
    [
      'an exception of the other family',
      'egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/8, except: ["fd00::/16"] } }] }]',
      'egress[0].to[0].ipBlock.except[0]: fd00::/16 is not a part of 10.0.0.0/8',
    ],
    [
      'a peer of nothing',
      'ingress: [{ from: [{}] }]',
      'ingress[0].from[0]: one of podSelector, namespaceSelector and ipBlock is required',
    ],
    [
      'a peer of both',
      'ingress: [{ from: [{ podSelector: {}, ipBlock: { cidr: 10.0.0.0/8 } }] }]',
      'ingress[0].from[0].ipBlock: ipBlock excludes podSelector and namespaceSelector',
    ],
    [
      'a protocol that is none',
      'ingress: [{ ports: [{ protocol: ICMP }] }]',
      'ingress[0].ports[0].protocol: "ICMP" is not one of TCP, UDP, SCTP',
    ],
    ['port 0', 'ingress: [{ ports: [{ port: 0 }] }]', 'ingress[0].ports[0].port: 0 is less than 1'],
    [
      'a port name in capitals',
      'ingress: [{ ports: [{ port: HTTP }] }]',
      'ingress[0].ports[0].port: "HTTP" is not a port name',
    ],
    [
      'a range backwards',
      'ingress: [{ ports: [{ port: 80, endPort: 79 }] }]',
      'ingress[0].ports[0].endPort: 79 is less than port 80',
    ],
    ['a range without beginning', 'ingress: [{ ports: [{ endPort: 79 }] }]', 'ingress[0].ports[0].endPort: needs port'],
    [
      'a range from a name',
      'ingress: [{ ports: [{ port: http, endPort: 81 }] }]',
      'ingress[0].ports[0].endPort: not allowed with a named port',
    ],
    ['an unknown direction', 'policyTypes: [Inbound]', 'policyTypes[0]: "Inbound" is not one of Ingress, Egress'],
  ])('with %s is refused', (_, fields, problem) => {
    expect(problemsOf(policy(`{ podSelector: {}, ${fields} }`))).toEqual([`spec.${problem}`]);
  });

  test.each([
    ['{ key: app, operator: Like, values: [a] }', 'operator: "Like" is not one of In, NotIn, Exists, DoesNotExist'],
    ['{ key: app, operator: In }', 'values: required with operator In'],
    ['{ key: app, operator: Exists, values: [a] }', 'values: not allowed with operator Exists'],
    ['{ key: "", operator: Exists }', 'key: must not be empty'],
  ])('with the selector %s is refused', (requirement, problem) => {
    expect(problemsOf(policy(`{ podSelector: { matchExpressions: [${requirement}] } }`))).toEqual([
      `spec.podSelector.matchExpressions[0].${problem}`,
    ]);
  });
});

describe('a Secret', () => {
  const secret = (fields: string) =>
    `{ apiVersion: v1, kind: Secret, metadata: { name: s, namespace: godwit }, ${fields} }`;

  test('keeps its values alone: stringData wins, and no annotation is kept', () => {
    const resource = valid(`
      apiVersion: v1
      kind: Secret
      type: Opaque
      metadata:
        name: s
        labels: { a: b }
        annotations: { kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"a":"hunter2"}}' }
      data: { a: aHVu, b: "aHVu dGVyMg==" }
      stringData: { a: "hünter" }
    `);
    expect(resource).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's', namespace: 'default', labels: {}, annotations: {} },
      data: { a: 'aMO8bnRlcg==', b: 'aHVudGVyMg==' },
    });
    expect(secretBytes(resource as Secret, 'b')).toEqual(new TextEncoder().encode('hunter2'));
    expect(secretBytes(resource as Secret, 'toString')).toBeUndefined();
    // A state on disk is read again.
    expect(validateManifest(resource)).toEqual({ kind: 'valid', resource });
  });

  test.each([
    ['data: { a: hunter2! }', 'data.a: is not base64'],
    ['data: { a: 12 }', 'data.a: is not base64'],
    ['stringData: { a: 4711 }', 'stringData.a: is not a string (a number needs quotes)'],
    ['data: hunter2', 'data: is not an object'],
    ['stringData: [hunter2]', 'stringData: is not an object'],
  ])('with %s is refused, without its value', (fields, problem) => {
    expect(problemsOf(secret(fields))).toEqual([problem]);
  });
});

function problemsOf(yaml: string): string[] {
  const validation = validateManifest(parse(yaml));
  return validation.kind === 'invalid' ? validation.problems.map(formatProblem) : [];
}

function valid(yaml: string): Resource {
  const validation = validateManifest(parse(yaml));
  if (validation.kind !== 'valid') throw new Error(`not valid: ${JSON.stringify(validation)}`);
  return validation.resource;
}

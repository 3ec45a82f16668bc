/** Random clusters for the properties of policy. */

import * as fc from 'fast-check';
import type { Namespace } from '../../../src/resources/namespace.ts';
import type { Resource } from '../../../src/resources/resource.ts';
import { namespace, pod, policy } from './manifests.ts';
import type { World } from './oracle.ts';

const labels = fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('a', 'b', 'c'), { maxKeys: 2 });
const selector = fc.record(
  {
    matchLabels: fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('a', 'b'), { maxKeys: 1 }),
    matchExpressions: fc.array(
      fc.oneof(
        fc.record({
          key: fc.constantFrom('app', 'tier'),
          operator: fc.constantFrom('In', 'NotIn'),
          values: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 2 }),
        }),
        fc.record({ key: fc.constantFrom('app', 'tier'), operator: fc.constantFrom('Exists', 'DoesNotExist') }),
      ),
      { maxLength: 1 },
    ),
  },
  { requiredKeys: [] },
);
const block = fc.constantFrom(
  { cidr: '10.1.0.0/29', except: ['10.1.0.3/32', '10.1.0.4/31'] },
  { cidr: '10.1.0.0/16' },
  { cidr: '0.0.0.0/0', except: ['10.1.0.0/16'] },
  { cidr: '192.0.2.0/24', except: ['192.0.2.0/25'] },
  { cidr: 'fd00::/64', except: ['fd00::4/126'] },
  { cidr: '::/0' },
  { cidr: '0.0.0.0/0', except: ['0.0.0.0/8', '10.1.0.2/32'] },
  { cidr: '::/0', except: ['::/1', 'fd00::2/128'] },
);
const peer = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector: selector }),
  fc.record({ podSelector: selector, namespaceSelector: selector }),
  fc.record({ ipBlock: block }),
);
const protocol = fc.constantFrom('TCP', 'UDP', 'SCTP');
const port = fc.oneof(
  fc.record({ protocol }, { requiredKeys: [] }),
  fc.record({ protocol, port: fc.constantFrom(80, 81, 8080) }),
  fc.record({ protocol, port: fc.constantFrom(80, 82), endPort: fc.constantFrom(82, 8080) }),
  fc.record({ protocol, port: fc.constantFrom('http', 'dns') }),
);
const peers = fc.array(peer, { maxLength: 2 });
const ports = fc.array(port, { maxLength: 2 });
const policySpec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.uniqueArray(fc.constantFrom('Ingress', 'Egress'), { maxLength: 2 }),
    ingress: fc.array(fc.record({ from: peers, ports }), { maxLength: 2 }),
    egress: fc.array(fc.record({ to: peers, ports }), { maxLength: 2 }),
  },
  { requiredKeys: ['podSelector'] },
);
const namespaceName = fc.constantFrom('default', 'shop', 'wild');
const policies = fc
  .array(fc.record({ namespace: namespaceName, spec: policySpec }), { maxLength: 5 })
  .map((list) => list.map((each, i) => policy(`${each.namespace}/p${i}`, each.spec)));
const pods = fc
  .array(
    fc.record({
      namespace: namespaceName,
      labels,
      node: fc.constantFrom('here', 'there'),
      hostNetwork: fc.constantFrom(false, false, false, true),
      phase: fc.constantFrom('Running', 'Running', 'Running', 'Succeeded'),
      ports: fc.uniqueArray(
        fc.constantFrom(
          { name: 'http', containerPort: 80 },
          { name: 'http', containerPort: 8080 },
          { name: 'dns', containerPort: 81, protocol: 'UDP' },
        ),
        { maxLength: 1 },
      ),
    }),
    { minLength: 2, maxLength: 7 },
  )
  .map((list) => list.map((each, i) => pod(`pod${i}`, { ...each, ips: [`10.1.0.${i + 1}`, `fd00::${i + 1}`] })));
// The namespace "wild" is nowhere described.
const namespaces: fc.Arbitrary<Namespace[]> = fc
  .tuple(labels, labels)
  .map(([first, second]) => [namespace('default', first), namespace('shop', second)]);
export const world: fc.Arbitrary<World> = fc.record({ pods, namespaces, policies });

export function objectsOf({ pods, namespaces, policies }: World): Resource[] {
  return [...pods, ...namespaces, ...policies];
}

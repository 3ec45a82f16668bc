/**
 * What was attached, in the words of each version of the spec.
 * Implements: CNI spec 0.3.0 to 1.1.0, "Result": `version` of an address until 0.4.0, `mtu` of an interface from 1.1.0.
 */

import { familyOfText, type Family } from '../../bgp/ip.ts';
import { isAtLeast, type CniVersion } from './versions.ts';

export interface AttachmentResult {
  readonly host: { readonly name: string; readonly mac: string };
  readonly pod: { readonly name: string; readonly mac: string; readonly namespace: string };
  readonly mtu: number;
  /** Canonical text, without a length. */
  readonly addresses: readonly string[];
  readonly gateways: Readonly<Record<Family, string>>;
  /** Prefixes that lead through the interface. */
  readonly routes: readonly string[];
}

export function formatResult(attachment: AttachmentResult, version: CniVersion): object {
  const { host, pod, addresses, gateways, routes } = attachment;
  const mtu = isAtLeast(version, '1.1.0') ? { mtu: attachment.mtu } : {};
  return {
    cniVersion: version,
    // Plugins after us find the host's end as the one without a sandbox.
    interfaces: [
      { name: host.name, mac: host.mac, ...mtu },
      { name: pod.name, mac: pod.mac, ...mtu, sandbox: pod.namespace },
    ],
    ips: addresses.map((address) => {
      const family = familyOfText(address);
      return {
        ...(!isAtLeast(version, '1.0.0') && { version: family === 'ipv4' ? '4' : '6' }),
        interface: 1,
        address: `${address}/${family === 'ipv4' ? 32 : 128}`,
        gateway: gateways[family],
      };
    }),
    routes: routes.map((dst) => ({ dst, gw: gateways[familyOfText(dst)] })),
    dns: {},
  };
}

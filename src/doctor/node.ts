/** The node itself: the agent's own state, the kernel's settings, the MTUs. */

import type { LinkStatus } from '../../dataplane/index.ts';
import type { AgentAnswers, NetworkFacts } from './facts.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

/** How many of a kind are named one by one. */
const mostNamed = 5;

export function judgeAgent({ status }: AgentAnswers): Finding[] {
  const findings: Finding[] = [];
  const { source, kernel, policy, conditions } = status;
  if (!source.synced) {
    findings.push(problem('source', `${source.text} is not read to its end yet`, 'see the log of the agent'));
  }
  for (const { file, document, field, reason } of source.problems.slice(0, mostNamed)) {
    const place = [file, document === undefined ? '' : `document ${document}`, field ?? ''].filter(
      (part) => part !== '',
    );
    findings.push(
      problem('source', `${place.join(', ')}: ${reason}`, 'correct the manifest; what was in force before stays'),
    );
  }
  for (const { object, message } of conditions) {
    findings.push(warning(object ?? 'agent', message, 'change the object, or the one that it disagrees with'));
  }
  for (const { prefix, message } of kernel?.failures.slice(0, mostNamed) ?? []) {
    findings.push(problem('routes', `the kernel refuses ${prefix}: ${message}`, `see godwit show why ${prefix}`));
  }
  for (const { prefix, reason } of kernel?.unroutable.slice(0, mostNamed) ?? []) {
    findings.push(problem('routes', `${prefix} cannot be routed: ${reason}`, `see godwit show why ${prefix}`));
  }
  for (const { name, state, reason } of kernel?.tunnels ?? []) {
    if (state === 'up') continue;
    const remedy = 'load the kernel module (ipip, vxlan), or choose the other mode in the IPPool';
    findings.push(problem(`tunnel ${name}`, reason ?? 'it cannot be made', remedy));
  }
  if (policy?.state === 'failed') {
    const remedy = 'the last good rules stay; see nft on this host, and the log of the agent';
    findings.push(problem('policy', `not in force: ${policy.lastError ?? 'unknown'}`, remedy));
  } else if (policy?.state === 'pending') {
    findings.push(warning('policy', 'changes wait to be applied', 'ask again in a moment'));
  }
  if (findings.length > 0) return findings;
  const routes = kernel === undefined ? '' : `, ${kernel.routes} routes in the kernel`;
  return [ok('agent', `node ${status.nodeName}, AS ${status.asNumber}, version ${status.version}${routes}`)];
}

/** @param ipv6 whether the node has an IPv6 pod range or peer. */
export function judgeSysctls(sysctls: Readonly<Record<string, string>>, ipv6: boolean): Finding[] {
  const findings: Finding[] = [];
  for (const name of ['net.ipv4.ip_forward', ...(ipv6 ? ['net.ipv6.conf.all.forwarding'] : [])]) {
    if (sysctls[name] === '1') continue;
    const found = sysctls[name] === undefined ? 'is missing' : `is ${sysctls[name]}`;
    findings.push(
      problem('kernel', `${name} ${found}: this node does not forward`, `sysctl -w ${name}=1, and in /etc/sysctl.d`),
    );
  }
  // ip-sysctl: the larger of `all` and the interface's counts.
  const all = Number(sysctls['net.ipv4.conf.all.rp_filter'] ?? 0);
  const strict = Object.entries(sysctls).flatMap(([name, value]) => {
    const link = /^net\/ipv4\/conf\/(.+)\/rp_filter$/.exec(name)?.[1];
    return link !== undefined && Math.max(all, Number(value)) === 1 ? [link] : [];
  });
  if (strict.length > 0) {
    findings.push(
      warning(
        'kernel',
        `rp_filter is strict on ${strict.join(', ')}: packets that come in by another link than the way back (ECMP, a tunnel) are dropped`,
        'set net.ipv4.conf.all.rp_filter to 2 (loose)',
      ),
    );
  }
  return findings.length > 0 ? findings : [ok('kernel', 'forwards, and drops no packet for its way back')];
}

/** Bytes of a tunnel's own headers over IPv4, the least there can be. */
const tunnelOverhead: Readonly<Record<string, number>> = { ipip: 20, vxlan: 50 };

/** @param local the node's own addresses. */
export function judgeMtus({ links, podInterfaces }: NetworkFacts, local: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const uplink = links.find(
    ({ name, addresses }) => name !== 'lo' && addresses.some((cidr) => local.includes(cidr.split('/')[0])),
  );
  const tunnels = links.filter(
    ({ name, kind }) => name.startsWith('godwit-') && tunnelOverhead[kind ?? ''] !== undefined,
  );
  for (const tunnel of uplink === undefined ? [] : tunnels) {
    const most = uplink!.mtu - tunnelOverhead[tunnel.kind!];
    if (tunnel.mtu <= most) continue;
    findings.push(
      problem(
        'mtu',
        `${tunnel.name} has ${tunnel.mtu}, but ${uplink!.name} carries ${uplink!.mtu}: at most ${most} fits into the tunnel`,
        `ip link set ${tunnel.name} mtu ${most}`,
      ),
    );
  }
  const [least] = [...tunnels, ...(uplink === undefined ? [] : [uplink])].sort((a, b) => a.mtu - b.mtu);
  const large = podLinks(links, podInterfaces).filter(({ mtu }) => least !== undefined && mtu > least.mtu);
  if (least !== undefined && large.length > 0) {
    const names = large.slice(0, mostNamed).map(({ name, mtu }) => `${name} (${mtu})`);
    findings.push(
      problem(
        'mtu',
        `${large.length} pods have a larger MTU than ${least.name} (${least.mtu}): ${names.join(', ')}`,
        `set the MTU of the pods' CNI configuration to ${least.mtu}, and start the pods anew; until then large packets rely on path MTU discovery`,
      ),
    );
  }
  if (findings.length > 0 || least === undefined) return findings;
  return [ok('mtu', `${least.name} ${least.mtu}, and no pod has more`)];
}

function podLinks(links: readonly LinkStatus[], names: readonly string[]): readonly LinkStatus[] {
  return links.filter(({ name }) => names.includes(name));
}

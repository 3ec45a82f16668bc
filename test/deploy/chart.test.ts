/** The Helm chart, as a real Helm reads it. `scripts/lab-tools` brings that Helm. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { chartFolder, generatedFiles, labTools } from '../../scripts/generate-manifests.ts';
import { collectedMetrics, histogramMetrics } from '../../src/agent/metrics.ts';
import { typeErrors } from './kubernetes-types.ts';
import type { Manifest } from './kubernetes-types.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));
const tools = toolsIfThereAre();

function toolsIfThereAre(): string | undefined {
  try {
    return labTools();
  } catch (error) {
    console.warn(`helm cannot be had, its tests are skipped: ${String(error)}`);
    return undefined;
  }
}

function template(...flags: readonly string[]): Manifest[] {
  const args = ['template', 'godwit', chartFolder, '--namespace=kube-system', ...flags];
  return documents(execFileSync(`${tools}/helm`, args, { encoding: 'utf8' }));
}

function documents(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS({ maxAliasCount: 0 }) as Manifest);
}

/** @returns what Helm says against these values; empty where it takes them. */
function refusal(...flags: readonly string[]): string {
  const { status, stderr } = spawnSync(`${tools}/helm`, ['template', 'godwit', chartFolder, ...flags], {
    encoding: 'utf8',
  });
  return status === 0 ? '' : stderr;
}

const variants = {
  default: [],
  privileged: ['--set=agent.privileged=true'],
  'without CNI': ['--set=agent.roles={bgp,routes,policy}'],
  'BGP alone': ['--set=agent.roles={bgp}'],
  'with reflectors': ['--set=reflector.enabled=true'],
  'another API server, image and folders': [
    '--set=apiServer.host=192.0.2.10,apiServer.port=443',
    `--set=image.repository=registry.example.com/godwit,image.digest=sha256:${'0'.repeat(64)}`,
    '--set=imagePullSecrets[0].name=registry',
    '--set=cni.binDir=/var/lib/rancher/k3s/data/cni,cni.confDir=/var/lib/rancher/k3s/agent/etc/cni/net.d',
    '--set-json=cni.chain=[]',
    '--set-json=agent.affinity={"podAffinity":{}}',
    '--set=agent.podLabels.team=net,agent.podAnnotations.note=x,agent.nodeSelector.zone=a,agent.maxUnavailable=10%',
    '--set=agent.extraArgs={--node-ip=192.0.2.1}',
    '--set=serviceAccount.annotations.a=b',
  ],
  'blocks of pools': ['--set=cni.ipam=pools'],
  'roles made by others': ['--set=rbac.create=false'],
  'cleaning up': ['--set=cleanup=true'],
  "with Calico's sockets": ['--set=calico.sockets=/var/run/calico'],
  watched: [
    '--set=metrics.address=0.0.0.0:9179,metrics.podMonitor.enabled=true,metrics.podMonitor.labels.release=prometheus',
    '--set=metrics.dashboard.enabled=true,rbac.secretNames={bgp}',
  ],
} as const satisfies Record<string, readonly string[]>;

describe.skipIf(tools === undefined)('the chart', () => {
  // Helm takes 0.1 s a call on an idle processor: each variant is rendered once.
  const rendered =
    tools === undefined
      ? {}
      : Object.fromEntries(Object.entries(variants).map(([name, flags]) => [name, template(...flags)]));
  const only = (variant: keyof typeof variants, kind: string, name: string): Manifest => {
    const found = rendered[variant].find((object) => object.kind === kind && object.metadata.name === name);
    if (found === undefined) throw new Error(`${variant}: no ${kind} ${name}`);
    return found;
  };
  const pod = (variant: keyof typeof variants, name = 'godwit-agent') =>
    only(variant, 'DaemonSet', name).spec.template.spec;
  const agent = (variant: keyof typeof variants) => pod(variant).containers[0];

  test('helm lint --strict has nothing to say', () => {
    const { status, stdout } = spawnSync(`${tools}/helm`, ['lint', '--strict', '--quiet', chartFolder], {
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  test('every manifest has only fields that Kubernetes has, of their types', () => {
    const manifests = [
      // A PodMonitor is the Prometheus operator's, not Kubernetes'.
      ...Object.values(rendered)
        .flat()
        .filter(({ kind }) => kind !== 'PodMonitor'),
      ...documents(readFileSync(`${top}deploy/manifests/godwit.yaml`, 'utf8')),
    ];
    expect(typeErrors(manifests)).toBe('');
  });

  test('that check finds a wrong field', () => {
    const wrong = structuredClone(only('default', 'DaemonSet', 'godwit-agent'));
    wrong.spec.template.spec.hostNetworking = true;
    expect(typeErrors([wrong])).toMatch(/hostNetworking"' does not exist/);
  });

  test('the objects of each variant', () => {
    const objects = Object.fromEntries(
      Object.entries(rendered).map(([variant, manifests]) => [
        variant,
        manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`),
      ]),
    );
    const usual = [
      'ServiceAccount kube-system/godwit-agent',
      'ClusterRole /godwit-agent',
      'ClusterRoleBinding /godwit-agent',
      'Role kube-system/godwit-agent',
      'RoleBinding kube-system/godwit-agent',
      'DaemonSet kube-system/godwit-agent',
    ];
    expect(objects).toEqual({
      default: usual,
      privileged: usual,
      'without CNI': usual,
      'BGP alone': usual,
      'with reflectors': [...usual, 'DaemonSet kube-system/godwit-reflector'],
      'another API server, image and folders': usual,
      'blocks of pools': usual,
      'roles made by others': [usual[0], usual[5]],
      'cleaning up': usual,
      "with Calico's sockets": usual,
      watched: [usual[0], 'ConfigMap kube-system/godwit-dashboard', ...usual.slice(1), 'PodMonitor kube-system/godwit'],
    });
  });

  test.each([
    ['default', ['NET_BIND_SERVICE', 'NET_ADMIN', 'NET_RAW', 'SYS_ADMIN']],
    ['without CNI', ['NET_BIND_SERVICE', 'NET_ADMIN', 'NET_RAW']],
    ['BGP alone', ['NET_BIND_SERVICE']],
  ] as const)('%s: no capability beyond what the roles need', (variant, capabilities) => {
    expect(agent(variant).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: capabilities },
    });
  });

  test.each([
    ['default', ['/var/lib/godwit', '/run/godwit', '/proc/sys/net', '/opt/cni/bin', '/etc/cni/net.d', '/run/netns']],
    ['privileged', ['/var/lib/godwit', '/run/godwit', '/opt/cni/bin', '/etc/cni/net.d', '/run/netns']],
    ['without CNI', ['/var/lib/godwit', '/run/godwit', '/proc/sys/net']],
    ['BGP alone', ['/var/lib/godwit', '/run/godwit']],
    ['cleaning up', ['/var/lib/godwit', '/opt/cni/bin', '/etc/cni/net.d']],
  ] as const)('%s: no folder of the host beyond what the roles need', (variant, folders) => {
    const { volumes, containers, initContainers = [] } = pod(variant);
    expect(volumes.map(({ hostPath }: Manifest) => hostPath.path)).toEqual(folders);
    const mounted = [...initContainers, ...containers].flatMap(({ volumeMounts = [] }) =>
      volumeMounts.map(({ name }: Manifest) => name),
    );
    expect(new Set(mounted)).toEqual(new Set(volumes.map(({ name }: Manifest) => name)));
  });

  test('the agent only reads the folder of plugins', () => {
    expect(agent('default').volumeMounts).toContainEqual({
      name: 'cni-bin',
      mountPath: '/opt/cni/bin',
      readOnly: true,
    });
  });

  test('privileged is privileged, in the init container too', () => {
    const { containers, initContainers } = pod('privileged');
    expect([...initContainers, ...containers].map(({ securityContext }) => securityContext)).toEqual([
      { privileged: true },
      { privileged: true },
    ]);
  });

  test("cleaning up takes the agent's place on all nodes at once, and shows when it is done", () => {
    const { selector, updateStrategy, template } = only('cleaning up', 'DaemonSet', 'godwit-agent').spec;
    expect(selector).toEqual(only('default', 'DaemonSet', 'godwit-agent').spec.selector);
    expect(updateStrategy.rollingUpdate).toEqual({ maxUnavailable: '100%' });
    const { initContainers, containers } = template.spec;
    expect(initContainers.map(({ args }: Manifest) => args)).toEqual([['cleanup']]);
    expect(containers.map(({ command }: Manifest) => command)).toEqual([['sleep', 'infinity']]);
  });

  test("pods' namespaces that are made later appear in the container", () => {
    expect(agent('default').volumeMounts).toContainEqual({
      name: 'netns',
      mountPath: '/run/netns',
      mountPropagation: 'HostToContainer',
    });
  });

  test('the flags are what the values say', () => {
    expect(agent('default').args).toEqual([
      'agent',
      '--node=$(NODE_NAME)',
      '--source=kube',
      '--roles=bgp,routes,policy,cni',
      '--log-level=info',
      '--cni-socket=/run/godwit/cni.sock',
      '--cni-conf-dir=/etc/cni/net.d',
      '--cni-bin-dir=/opt/cni/bin',
      '--cni-chain=portmap,bandwidth',
      '--cni-version=1.0.0',
      '--ipam=node',
    ]);
    expect(agent('blocks of pools').args).toContain('--ipam=pools');
    expect(agent('without CNI').args).toEqual([
      'agent',
      '--node=$(NODE_NAME)',
      '--source=kube',
      '--roles=bgp,routes,policy',
      '--log-level=info',
    ]);
    expect(agent('another API server, image and folders').args).toEqual(
      expect.arrayContaining(['--node-ip=192.0.2.1', '--cni-chain=none']),
    );
  });

  test('blocks are made and deleted only by agents that claim them', () => {
    const writes = (variant: keyof typeof variants) =>
      only(variant, 'ClusterRole', 'godwit-agent').rules.filter(
        ({ resources, verbs }: Manifest) => resources.includes('ipamblocks') && verbs.includes('create'),
      );
    expect(writes('default')).toEqual([]);
    expect(writes('blocks of pools')).toEqual([
      { apiGroups: ['godwit.dev'], resources: ['ipamblocks'], verbs: ['create', 'delete', 'patch'] },
    ]);
  });

  test('image, API server and folders of others', () => {
    const variant = 'another API server, image and folders';
    const { image, env } = agent(variant);
    expect(image).toBe(`registry.example.com/godwit@sha256:${'0'.repeat(64)}`);
    expect(env.slice(2)).toEqual([
      { name: 'KUBERNETES_SERVICE_HOST', value: '192.0.2.10' },
      { name: 'KUBERNETES_SERVICE_PORT', value: '443' },
    ]);
    expect(agent('default').env.map(({ name }: Manifest) => name)).toEqual(['NODE_NAME', 'POD_NAMESPACE']);
    const folders = pod(variant).volumes.map(({ hostPath }: Manifest) => hostPath.path);
    expect(folders).toEqual(
      expect.arrayContaining(['/var/lib/rancher/k3s/data/cni', '/var/lib/rancher/k3s/agent/etc/cni/net.d']),
    );
  });

  test("Calico's sockets are in a folder of the host, where one is named", () => {
    const { args, volumeMounts } = agent("with Calico's sockets");
    expect(args).toContain('--calico-sockets=/run/calico');
    const [mount] = volumeMounts.filter(({ name }: Manifest) => name === 'calico-sockets');
    expect(mount).toEqual({ name: 'calico-sockets', mountPath: '/run/calico' });
    expect(pod("with Calico's sockets").volumes).toContainEqual({
      name: 'calico-sockets',
      hostPath: { path: '/var/run/calico', type: 'DirectoryOrCreate' },
    });
    expect(JSON.stringify(pod('default'))).not.toContain('calico');
  });

  test('probes ask over HTTP where there is a port for it, on the own host; else by the control socket', () => {
    const { args, ports, startupProbe, livenessProbe, readinessProbe } = agent('watched');
    expect(args).toContain('--metrics=0.0.0.0:9179');
    expect(ports).toEqual([{ name: 'metrics', containerPort: 9179, hostPort: 9179, protocol: 'TCP' }]);
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).toEqual(
      ['/livez', '/livez', '/readyz'].map((path) => ({ host: '127.0.0.1', port: 9179, path })),
    );
    expect(agent('default').ports).toBeUndefined();
    expect(agent('default').readinessProbe.exec.command).toContain('ready');
    const [v6] = template('--set=metrics.address=[fd00::1]:80', '--show-only=templates/agent.yaml');
    expect(v6.spec.template.spec.containers[0].livenessProbe.httpGet).toMatchObject({ host: 'fd00::1', port: 80 });
  });

  test('the PodMonitor and the dashboard', () => {
    const monitor = only('watched', 'PodMonitor', 'godwit');
    expect(monitor.metadata.labels.release).toBe('prometheus');
    const { labels } = only('watched', 'DaemonSet', 'godwit-agent').spec.template.metadata;
    expect(labels).toMatchObject(monitor.spec.selector.matchLabels);
    const [endpoint] = monitor.spec.podMetricsEndpoints;
    expect(agent('watched').ports.map(({ name }: Manifest) => name)).toEqual([endpoint.port]);
    const text = only('watched', 'ConfigMap', 'godwit-dashboard').data['godwit.json'] as string;
    const dashboard = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] };
    const known = [...collectedMetrics, ...Object.values(histogramMetrics)].map(({ name }) => name);
    const asked = dashboard.panels
      .flatMap(({ targets }) => targets)
      .flatMap(({ expr }) => expr.match(/godwit_\w+/g) ?? [])
      .map((name) => name.replace(/_bucket$/, ''));
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('a node runs either an agent or a reflector: there is one port 179', () => {
    const operators = ['godwit-agent', 'godwit-reflector'].map((name) => {
      const { nodeSelectorTerms } = pod('with reflectors', name).affinity.nodeAffinity
        .requiredDuringSchedulingIgnoredDuringExecution;
      return nodeSelectorTerms[0].matchExpressions[0];
    });
    expect(operators).toEqual([
      { key: 'godwit.dev/route-reflector', operator: 'DoesNotExist' },
      { key: 'godwit.dev/route-reflector', operator: 'Exists' },
    ]);
    expect(pod('default').affinity).toBeUndefined();
  });

  test('an agent runs on every node, whatever its taints, one at a time at an upgrade', () => {
    expect(pod('default')).toMatchObject({
      hostNetwork: true,
      priorityClassName: 'system-node-critical',
      tolerations: [{ operator: 'Exists' }],
      terminationGracePeriodSeconds: 10,
    });
    expect(only('default', 'DaemonSet', 'godwit-agent').spec.updateStrategy.rollingUpdate).toEqual({
      maxUnavailable: 1,
    });
  });

  test('a selector finds its own pods and no others', () => {
    const [first, second] = ['godwit-agent', 'godwit-reflector'].map(
      (name) => only('with reflectors', 'DaemonSet', name).spec,
    );
    expect(first.template.metadata.labels).toEqual(first.selector.matchLabels);
    expect(second.template.metadata.labels).toEqual(second.selector.matchLabels);
    expect(first.selector).not.toEqual(second.selector);
  });

  test.each([
    ['an unknown value', ['--set=agnet.roles={bgp}'], /additional properties 'agnet' not allowed/],
    [
      'an unknown role',
      ['--set=agent.roles={bgp,services}'],
      /at '\/agent\/roles\/1': value must be one of 'bgp', 'routes', 'policy', 'cni'/,
    ],
    ['no role', ['--set-json=agent.roles=[]'], /at '\/agent\/roles': minItems: got 0, want 1/],
    ['a wrong type', ['--set-string=agent.privileged=yes'], /at '\/agent\/privileged': got string, want boolean/],
    ['a log level', ['--set=agent.logLevel=verbose'], /at '\/agent\/logLevel': value must be one of/],
    ['a digest', ['--set=image.digest=latest'], /at '\/image\/digest': 'latest' does not match pattern/],
    ['a relative folder', ['--set=cni.binDir=opt/cni'], /at '\/cni\/binDir': 'opt\/cni' does not match pattern/],
    ["a relative folder of Calico's sockets", ['--set=calico.sockets=run'], /at '\/calico\/sockets'/],
    ['an HTTP port without an address', ['--set=metrics.address=9179'], /at '\/metrics\/address'/],
    [
      'a PodMonitor without anything to scrape',
      ['--set=metrics.podMonitor.enabled=true'],
      /metrics.podMonitor.enabled needs metrics.address/,
    ],
    ['no node may be away', ['--set=agent.maxUnavailable=0'], /at '\/agent\/maxUnavailable'/],
    [
      'a label that selectors use',
      ['--set=agent.podLabels.app\\.kubernetes\\.io/name=x'],
      /invalid propertyName 'app.kubernetes.io\/name'/,
    ],
  ] as const)('values are refused with their place: %s', (_name, flags, message) => {
    expect(refusal(...flags)).toMatch(message);
  });

  test('the notes say that kube-proxy stays', () => {
    const args = ['install', 'godwit', chartFolder, '--dry-run=client', '--namespace=kube-system'];
    const { stdout } = spawnSync(`${tools}/helm`, args, {
      encoding: 'utf8',
      env: { ...process.env, KUBECONFIG: '/dev/null' },
    });
    expect(stdout).toContain('kube-proxy stays');
  });

  test('generated files are up to date (node scripts/generate-manifests.ts)', () => {
    for (const [path, content] of generatedFiles(tools!)) expect(readFileSync(top + path, 'utf8'), path).toBe(content);
  });

  test('the plain manifests are what kustomize gives, and what the chart gives', () => {
    const plain = documents(readFileSync(`${top}deploy/manifests/godwit.yaml`, 'utf8'));
    const built = documents(
      execFileSync(`${tools}/kubectl`, ['kustomize', `${top}deploy/manifests`], { encoding: 'utf8' }),
    );
    const older = documents(readFileSync(`${top}deploy/manifests/before-1.31/godwit.yaml`, 'utf8'));
    expect(older.map(({ kind, metadata }) => [kind, metadata.name])).toEqual(
      plain.map(({ kind, metadata }) => [kind, metadata.name]),
    );
    expect(JSON.stringify(older)).not.toContain('x-kubernetes-validations');
    const byName = (objects: readonly Manifest[]) =>
      Object.fromEntries(objects.map((object) => [`${object.kind} ${object.metadata.name}`, object]));
    expect(byName(built)).toEqual(byName(plain));
    expect(documents(readFileSync(`${top}deploy/manifests/cleanup.yaml`, 'utf8'))[0].spec).toEqual(
      only('cleaning up', 'DaemonSet', 'godwit-agent').spec,
    );
    expect(
      plain.filter(({ kind }) => kind !== 'CustomResourceDefinition').map(({ spec, rules }) => spec ?? rules),
    ).toEqual(rendered.default.map(({ spec, rules }) => spec ?? rules));
  });

  test('it can be packed, with the CRDs in it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'godwit-chart-'));
    try {
      execFileSync(`${tools}/helm`, ['package', chartFolder, '--destination', folder], { stdio: 'pipe' });
      const [archive] = readdirSync(folder);
      const content = execFileSync('tar', ['-tzf', join(folder, archive)], { encoding: 'utf8' });
      expect(content).toContain('godwit/crds/godwit.dev_bgppeers.yaml');
      expect(content).toContain('godwit/values.schema.json');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("the chart has the program's version", () => {
  const { version } = JSON.parse(readFileSync(`${top}package.json`, 'utf8')) as { version: string };
  expect(parse(readFileSync(`${chartFolder}/Chart.yaml`, 'utf8'))).toMatchObject({ version, appVersion: version });
});

test("the chart's CRDs are those of deploy/crds", () => {
  const files = (folder: string) =>
    Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')]));
  expect(files(`${chartFolder}/crds`)).toEqual(files(`${top}deploy/crds`));
});

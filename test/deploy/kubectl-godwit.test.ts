/** The kubectl plugin, with a `kubectl` in its place that tells what it was asked and answers as a cluster of two nodes would. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const plugin = fileURLToPath(new URL('../../deploy/kubectl/kubectl-godwit', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'godwit-plugin-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** @param pods lines of `kubectl get pods`: NAMESPACE POD NODE */
function run(args: readonly string[], pods = 'kube-system godwit-agent-x node-b\nkube-system godwit-agent-y node-a\n') {
  writeFileSync(join(folder, 'pods'), pods);
  writeFileSync(
    join(folder, 'kubectl'),
    `#!/bin/sh
    for word in "$@"; do printf '%s\\n' "$word"; done >>"${folder}/asked"
    echo . >>"${folder}/asked"
    case " $* " in
    *' get pods '*) cat "${folder}/pods" ;;
    *' exec '*) echo 'the answer'; exit 1 ;;
    esac`,
    { mode: 0o755 },
  );
  writeFileSync(join(folder, 'asked'), '');
  const { status, stdout, stderr } = spawnSync(plugin, args, {
    encoding: 'utf8',
    env: { PATH: `${folder}:${process.env.PATH}` },
  });
  const asked = readFileSync(join(folder, 'asked'), 'utf8').split('.\n').slice(0, -1);
  return { status, stdout, stderr, asked: asked.map((call) => call.split('\n').slice(0, -1)) };
}

const selector = '--selector=app.kubernetes.io/name=godwit,app.kubernetes.io/component in (agent, reflector)';
const output = '--output=jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name} {.spec.nodeName}{"\\n"}{end}';

/** Words that hold no space. */
const words = (text: string): readonly string[] => text.split(' ');

test("a command runs in the pod of the first agent, word by word; its exit status is the plugin's", () => {
  const { asked, ...rest } = run(words('show route for 10.0.0.1 --json'));
  const exec = 'exec --namespace=kube-system godwit-agent-x --container=agent --';
  expect(asked).toEqual([
    ['get', 'pods', '--all-namespaces', selector, '--field-selector=status.phase=Running', output],
    words(`${exec} /opt/godwit/bin/godwit show route for 10.0.0.1 --json`),
  ]);
  expect(rest).toEqual({ status: 1, stdout: 'the answer\n', stderr: 'On node node-b:\n' });
});

test('the node, the namespace and the cluster are chosen by flags', () => {
  const flags = ['--node=node-a', '-n', 'network', '--context', 'test', '--kubeconfig=/tmp/a b'];
  const { asked, stderr } = run([...flags, 'show', 'protocols', '"a *"'], 'network godwit-agent-y node-a\n');
  const cluster = ['--context=test', '--kubeconfig=/tmp/a b'];
  const fields = '--field-selector=status.phase=Running,spec.nodeName=node-a';
  const exec = 'exec --namespace=network godwit-agent-y --container=agent --';
  expect(asked).toEqual([
    [...cluster, 'get', 'pods', '--namespace=network', selector, fields, output],
    [...cluster, ...words(`${exec} /opt/godwit/bin/godwit show protocols`), '"a *"'],
  ]);
  expect(stderr).toBe('');
});

test('`nodes` lists the nodes that run an agent', () => {
  expect(run(['nodes'])).toMatchObject({ status: 0, stdout: 'node-a\nnode-b\n' });
});

test.each([
  [['--node', 'node-c', 'show', 'status'], '', 3, 'kubectl godwit: no running agent on node node-c\n'],
  [['--node'], '', 2, 'kubectl godwit: --node: a value is missing\n'],
  [['disable', 'all'], '', 2, "kubectl godwit: disable changes one node's agent: say which, with --node\n"],
  [['--node=', 'show'], '', 2, 'kubectl godwit: --node: the value is empty\n'],
] as const)('%j is refused', (args, pods, status, stderr) => {
  expect(run(args, pods)).toMatchObject({ status, stderr });
});

test('help needs no cluster', () => {
  const { status, stdout, asked } = run(['--help']);
  expect({ status, asked }).toEqual({ status: 0, asked: [] });
  expect(stdout).toContain('--node NODE');
  expect(run([])).toMatchObject({ status: 2, asked: [] });
});
